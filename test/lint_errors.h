/* lint_errors.h - for static analysis only (test/lint.sh includes it by force): the analyser looks at one file at a time and cannot know that
 * what fills an err always returns -1, as common/err.h promises; without this it follows paths that do not exist. */
#ifndef PCAPLINE_TEST_LINT_ERRORS_H
#define PCAPLINE_TEST_LINT_ERRORS_H

#include "common/err.h"
#include "common/json_in.h"

/* cmocka's fail() leaves by longjmp, which its header does not say. */
void _fail(const char *const file, const int line) __attribute__((noreturn)); /* NOLINT */

static inline int lint_minus_one(int rc)
{
	(void)rc;
	return -1;
}

#define err_set(...)      lint_minus_one(err_set(__VA_ARGS__))
#define err_vset(...)     lint_minus_one(err_vset(__VA_ARGS__))
#define err_in(...)       lint_minus_one(err_in(__VA_ARGS__))
#define err_field(...)    lint_minus_one(err_field(__VA_ARGS__))
#define err_detail(...)   lint_minus_one(err_detail(__VA_ARGS__))
#define err_sys(...)      lint_minus_one(err_sys(__VA_ARGS__))
#define err_nomem(...)    lint_minus_one(err_nomem(__VA_ARGS__))
#define json_in_fail(...) lint_minus_one(json_in_fail(__VA_ARGS__))

#endif
