/* What has just been recorded: a download in many parts is one download, a list that is looked at for an hour is not looked at a thousand times. */
#include "gateway/audit/audit_internal.h"

#include "common/clock.h"

#include <string.h>

bool audit_knows(struct audit *a, const char *what, unsigned within_s)
{
	char sha256[DIGEST_SHA256_HEX_MAX];
	uint64_t now = clock_mono_ns();
	bool known = false;

	if (!a)
		return false;
	digest_sha256_hex(what, strlen(what), sha256);
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < AUDIT_AGAIN_MAX && !known; i++)
		known = a->again[i].at_ns > 0 && now - a->again[i].at_ns < within_s * CLOCK_NS_PER_S &&
			strcmp(a->again[i].sha256, sha256) == 0;
	pthread_mutex_unlock(&a->lock);
	return known;
}

void audit_remember(struct audit *a, const char *what)
{
	struct audit_again *one;

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	one = &a->again[a->again_next++ % AUDIT_AGAIN_MAX];
	digest_sha256_hex(what, strlen(what), one->sha256);
	one->at_ns = clock_mono_ns();
	pthread_mutex_unlock(&a->lock);
}
