/* s3_look.h - is the store there?  Asked again only when the last look is some seconds old, however many want to know. */
#ifndef PCAPLINE_UPLOADER_S3_S3_LOOK_H
#define PCAPLINE_UPLOADER_S3_S3_LOOK_H

#include "common/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct s3_look {
	pthread_mutex_t lock;
	uint64_t at_ns; /* of the last look; 0: never */
	struct err why; /* ERR_NONE: it was well */
};

int s3_look_init(struct s3_look *l, struct err *err);
void s3_look_done(struct s3_look *l);

/* s3_look: what the last look said, or a new one says, made by look(ctx). */
int s3_look(struct s3_look *l, int (*look)(void *ctx, struct err *err), void *ctx, struct err *err);

#endif
