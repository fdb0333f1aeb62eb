#include "uploader/s3/s3_look.h"

#include "common/clock.h"

#define GOOD_NS (5 * CLOCK_NS_PER_S)
#define BAD_NS  (1 * CLOCK_NS_PER_S)

int s3_look_init(struct s3_look *l, struct err *err)
{
	*l = (struct s3_look){0};
	return pthread_mutex_init(&l->lock, NULL) == 0 ? 0 : err_nomem(err);
}

void s3_look_done(struct s3_look *l)
{
	pthread_mutex_destroy(&l->lock);
}

int s3_look(struct s3_look *l, int (*look)(void *ctx, struct err *err), void *ctx, struct err *err)
{
	uint64_t now = clock_mono_ns();
	struct err why;
	bool fresh;

	pthread_mutex_lock(&l->lock);
	why = l->why;
	fresh = l->at_ns > 0 && now - l->at_ns < (why.code == ERR_NONE ? GOOD_NS : BAD_NS);
	pthread_mutex_unlock(&l->lock);
	if (!fresh) {
		why = (struct err){0};
		look(ctx, &why);
		pthread_mutex_lock(&l->lock);
		l->at_ns = clock_mono_ns();
		l->why = why;
		pthread_mutex_unlock(&l->lock);
	}
	if (why.code == ERR_NONE)
		return 0;
	if (err)
		*err = why;
	return -1;
}
