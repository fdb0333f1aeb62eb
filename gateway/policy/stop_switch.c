#include "gateway/policy/stop_switch.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/json_in.h"
#include "common/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX 4096

static int read_text(struct stop_switch *s, const char *text, struct err *err)
{
	json_t *o = json_in_parse(text, strlen(text), err);
	const char *by = "", *reason = "", *since = "";
	struct json_in in;
	int rc = -1;

	if (!o)
		return -1;
	json_in_begin(&in, o, "", err);
	json_in_str(&in, "by", JSON_IN_REQUIRED, 0, sizeof(s->by) - 1, &by);
	json_in_str(&in, "reason", JSON_IN_REQUIRED, 0, sizeof(s->reason) - 1, &reason);
	json_in_str(&in, "since", JSON_IN_REQUIRED, 1, CLOCK_TEXT_MAX, &since);
	if (json_in_end(&in) == 0 && clock_parse_rfc3339(since, &s->since_ns, err) == 0) {
		snprintf(s->by, sizeof(s->by), "%s", by);
		snprintf(s->reason, sizeof(s->reason), "%s", reason);
		s->on = true;
		rc = 0;
	}
	json_decref(o);
	return rc;
}

int stop_switch_open(struct stop_switch *s, const char *state_dir, struct err *err)
{
	struct err why = {0};
	char *text;
	int rc = 0;

	if (!(s->path = fs_path("%s/halt.json", state_dir)))
		return err_nomem(err);
	text = fs_read_text(s->path, FILE_MAX, &why);
	if (text)
		rc = read_text(s, text, &why);
	else if (why.code != ERR_NOT_FOUND)
		rc = -1;
	free(text);
	if (rc < 0) {
		err_in(&why, "%s (who stopped all captures, and why; remove it to let them begin again)", s->path);
		if (err)
			*err = why;
	}
	return rc;
}

void stop_switch_close(struct stop_switch *s)
{
	free(s->path);
	s->path = NULL;
}

/* The lock is held. */
static json_t *to_json(const struct stop_switch *s, enum stop_switch_told told)
{
	char since[CLOCK_TEXT_MAX];

	return json_pack("{s:s, s:s*, s:s*}", "since", clock_rfc3339(s->since_ns, since), "reason",
		told == STOP_SWITCH_ANYBODY ? NULL : s->reason, "by", told == STOP_SWITCH_OPERATOR ? s->by : NULL);
}

static int write_file(const struct stop_switch *s, struct err *err)
{
	json_t *o = to_json(s, STOP_SWITCH_OPERATOR);
	char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	int rc = text ? fs_write_new(s->path, text, strlen(text), 0600, err) : err_nomem(err);

	free(text);
	json_decref(o);
	return rc;
}

void stop_switch_set(struct stop_switch *s, const char *by, const char *reason)
{
	pthread_mutex_lock(&s->lock);
	/* An issuer's name for somebody may be anything; with a control character the next start would not read it. */
	parse_printable(by, s->by, sizeof(s->by));
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	s->since_ns = clock_wall_ns();
	s->on = true;
	pthread_mutex_unlock(&s->lock);
}

int stop_switch_keep(struct stop_switch *s, struct err *err)
{
	struct stop_switch copy;
	int rc;

	/* The lock that every start takes is not held while a disk may hang. */
	pthread_mutex_lock(&s->writing);
	pthread_mutex_lock(&s->lock);
	copy = *s;
	pthread_mutex_unlock(&s->lock);
	rc = copy.on ? write_file(&copy, err) : 0;
	pthread_mutex_unlock(&s->writing);
	return rc;
}

int stop_switch_lift(struct stop_switch *s, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->writing);
	if (unlink(s->path) < 0 && errno != ENOENT) {
		rc = err_sys(err, errno, "%s", s->path);
	} else {
		pthread_mutex_lock(&s->lock);
		s->on = false;
		pthread_mutex_unlock(&s->lock);
	}
	pthread_mutex_unlock(&s->writing);
	return rc;
}

int stop_switch_check(struct stop_switch *s, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (s->on) {
		err_set(err, ERR_UNAVAILABLE, "all captures are stopped on this gateway by %s: %s", s->by, s->reason);
		rc = err_detail(err, "halted");
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

json_t *stop_switch_json(struct stop_switch *s, enum stop_switch_told told)
{
	json_t *o;

	pthread_mutex_lock(&s->lock);
	o = s->on ? to_json(s, told) : json_null();
	pthread_mutex_unlock(&s->lock);
	return o;
}
