/* store_key.c - names of objects. */
#include "uploader/store.h"

#include "common/buf.h"
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMPONENT_MAX 128u
#define KEY_MAX       1024u

static bool key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

static int add_component(struct buf *b, const char *text, size_t n)
{
	uint8_t *dst;

	if (n > COMPONENT_MAX)
		n = COMPONENT_MAX;
	if (!(dst = buf_reserve(b, n + 1, NULL)))
		return -1;
	for (size_t i = 0; i < n; i++)
		dst[i] = (uint8_t)(key_char(text[i]) && !(i == 0 && text[i] == '.') ? text[i] : '_');
	dst[n] = '/';
	b->len += n + 1;
	return 0;
}

static int add_prefix(struct buf *b, const char *prefix)
{
	size_t n;

	for (;; prefix += n) {
		prefix += strspn(prefix, "/");
		n = strcspn(prefix, "/");
		if (n == 0)
			return 0;
		if (add_component(b, prefix, n) < 0)
			return -1;
	}
}

char *store_key(const char *prefix, const char *owner, uint64_t created_ns, const char *job_id, const char *extension)
{
	time_t at = (time_t)(created_ns / CLOCK_NS_PER_S);
	const char *text;
	char *key = NULL;
	struct tm tm;
	struct buf b;

	if (!gmtime_r(&at, &tm))
		return NULL;
	if (!owner[0])
		owner = "_";
	buf_init(&b, KEY_MAX);
	if (add_prefix(&b, prefix) == 0 && add_component(&b, owner, strlen(owner)) == 0 &&
		buf_addf(&b, NULL, "%04d/%02d/%02d/", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) == 0 &&
		add_component(&b, job_id, strlen(job_id)) == 0) {
		b.data[b.len - 1] = '.';
		if (add_component(&b, extension, strlen(extension)) == 0) {
			b.len--;
			if ((text = buf_str(&b)))
				key = strdup(text);
		}
	}
	buf_done(&b);
	return key;
}
