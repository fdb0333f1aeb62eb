/* rules.c - see rules.h. */
#include "cli/rules.h"

#include "cli/talk.h"
#include "cli/text.h"

#include <stdatomic.h>

#define RULE_MAX 3000

void rules_say(const json_t *rules)
{
	static atomic_bool said;
	char text[RULE_MAX];
	json_t *one;
	size_t i;

	if (!json_array_size(rules) || atomic_exchange(&said, true))
		return;
	json_array_foreach((json_t *)rules, i, one) if (json_string_value(one))
		talk_say("note: %s", text_clean(json_string_value(one), text, sizeof(text)));
}
