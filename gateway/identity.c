#include "gateway/identity.h"

#include <stdlib.h>
#include <string.h>

void identity_done(struct identity *i)
{
	free(i->user_id);
	free(i->user_name);
	free(i->org);
	free(i->space);
	memset(i, 0, sizeof(*i));
}
