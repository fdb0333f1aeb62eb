/* Which agents there are, and how each is: for operators. */
#include "common/version.h"
#include "gateway/api/api.h"
#include "gateway/targets/agents.h"

void api_admin_agents(struct api_call *a)
{
	struct err err = {0};
	size_t more;
	json_t *list = agents_list(a->gw, &more, &err);

	if (!list)
		http_reply_err(a->rq, &err);
	else
		http_reply_json(a->rq, 200,
			json_pack("{s:{s:s, s:i}, s:o, s:I}", "gateway", "version", PCAPLINE_VERSION, "api_level",
				PCAPLINE_API_LEVEL, "agents", list, "more", (json_int_t)more));
}
