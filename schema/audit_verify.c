#include "schema/audit_verify.h"

#include "common/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *audit_fault_name(enum audit_fault f)
{
	switch (f) {
	case AUDIT_WHOLE:
		return "";
	case AUDIT_ALTERED:
		return "altered";
	case AUDIT_MISSING:
		return "missing";
	case AUDIT_REORDERED:
		return "reordered";
	case AUDIT_FOREIGN:
		return "foreign";
	case AUDIT_CUT:
		return "cut";
	}
	return "";
}

void audit_check_begin(struct audit_check *c, const struct audit_key *key)
{
	*c = (struct audit_check){.key = key};
	snprintf(c->head, sizeof(c->head), "%s", AUDIT_FIRST);
}

/* What it is may still change; where it is does not. */
__attribute__((format(printf, 4, 5))) static void call_it(
	struct audit_check *c, enum audit_fault fault, uint64_t seq, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->fault = fault;
	c->seq = seq;
	parse_printable(text, c->message, sizeof(c->message));
}

static void follow(struct audit_check *c, const struct audit_link *l)
{
	if (c->last == 0)
		c->first = l->seq;
	c->last = l->seq;
	memcpy(c->head, l->hash, sizeof(c->head));
}

/* A genuine record after the first fault: does it say more about it? */
static void explain(struct audit_check *c, const struct audit_link *l)
{
	if (c->fault == AUDIT_MISSING && l->seq >= c->seq && l->seq < c->upto)
		call_it(c, AUDIT_REORDERED, l->seq, "record %" PRIu64 " stands after record %" PRIu64, l->seq, c->upto);
	else if (c->fault == AUDIT_ALTERED && l->seq == c->seq)
		call_it(c, AUDIT_FOREIGN, l->seq, "a line that claims to be record %" PRIu64 ", which is another one",
			l->seq);
}

static void judge(struct audit_check *c, const struct audit_link *l)
{
	if (c->last == 0 && (l->seq > 1 || strcmp(l->prev, AUDIT_FIRST) == 0)) {
		follow(c, l);
	} else if (c->last > 0 && l->seq == c->last + 1 && strcmp(l->prev, c->head) == 0) {
		follow(c, l);
	} else if (l->seq <= c->last) {
		call_it(c, AUDIT_REORDERED, l->seq, "record %" PRIu64 " stands after record %" PRIu64, l->seq, c->last);
	} else if (l->seq == c->last + 1) {
		call_it(c, AUDIT_FOREIGN, l->seq,
			"record %" PRIu64 " follows another record %" PRIu64 " than the one that stands before it",
			l->seq, c->last);
	} else {
		c->upto = l->seq;
		call_it(c, AUDIT_MISSING, c->last + 1, "of the records after %" PRIu64 " %" PRIu64 " are missing",
			c->last, l->seq - c->last - 1);
	}
}

static bool is_put_aside(const json_t *record)
{
	const char *action = json_string_value(json_object_get(record, "action"));
	const char *how = json_string_value(json_object_get(json_object_get(record, "data"), "how"));

	return action && strcmp(action, "audit.file") == 0 && how &&
	       (strcmp(how, "put_aside") == 0 || strcmp(how, "rotated") == 0);
}

json_t *audit_check_line(struct audit_check *c, const char *line, size_t n)
{
	bool before = c->fault != AUDIT_WHOLE, genuine = false;
	struct audit_link l = {0};
	struct err err = {0};
	json_t *record = audit_line_read(line, n, c->key, &l, &genuine, &err);

	c->lines++;
	if (!before)
		c->line++;
	if (genuine) {
		c->records++;
		if (c->records == 1)
			c->goes_on = is_put_aside(record);
		if (before)
			explain(c, &l);
		else
			judge(c, &l);
		return record;
	}
	if (!before && record)
		call_it(c, l.seq == c->last + 1 || c->last == 0 ? AUDIT_ALTERED : AUDIT_FOREIGN, l.seq,
			"record %" PRIu64 " is not as it was written", l.seq);
	else if (!before)
		call_it(c, AUDIT_FOREIGN, c->last + 1, "no record: %s", err.msg);
	json_decref(record);
	return NULL;
}

void audit_check_spoil(struct audit_check *c, const char *message)
{
	if (c->fault == AUDIT_WHOLE)
		call_it(c, AUDIT_ALTERED, c->last, "record %" PRIu64 ": %s", c->last, message);
}

/* ---- files ---- */

struct line_reader {
	struct audit_check *c;
	char *line; /* AUDIT_LINE_MAX + 1 bytes: one more than a record has tells that it is none */
	size_t n;
};

static void take_bytes(struct line_reader *r, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n') {
			json_decref(audit_check_line(r->c, r->line, r->n));
			r->n = 0;
		} else if (r->n <= AUDIT_LINE_MAX) {
			r->line[r->n++] = p[i];
		}
	}
}

static int read_all(struct line_reader *r, int fd, uint64_t bytes, struct err *err)
{
	char block[65536];

	for (uint64_t at = 0; at < bytes;) {
		size_t want = bytes - at < sizeof(block) ? (size_t)(bytes - at) : sizeof(block);
		ssize_t got = pread(fd, block, want, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, errno, "reading");
		if (got == 0)
			break;
		take_bytes(r, block, (size_t)got);
		at += (uint64_t)got;
	}
	return 0;
}

int audit_check_file(struct audit_check *c, int fd, uint64_t bytes, const char *place, struct err *err)
{
	struct line_reader r = {.c = c, .line = malloc(AUDIT_LINE_MAX + 1)};
	int rc;

	if (!r.line)
		return err_nomem(err);
	if (c->fault == AUDIT_WHOLE) {
		c->line = 0;
		snprintf(c->place, sizeof(c->place), "%s", place);
	}
	rc = read_all(&r, fd, bytes, err);
	if (rc == 0 && r.n > 0) {
		bool before = c->fault != AUDIT_WHOLE;

		json_decref(audit_check_line(c, r.line, r.n));
		if (!before)
			call_it(c, AUDIT_FOREIGN, c->last + 1, "the last line has no end");
	}
	free(r.line);
	return rc < 0 ? err_in(err, "%s", place) : 0;
}

/* ---- the end ---- */

enum audit_fault audit_check_end(struct audit_check *c, const char *head)
{
	if (c->fault == AUDIT_WHOLE && head && strcmp(head, c->head) != 0) {
		c->line++;
		call_it(c, AUDIT_CUT, c->last + 1,
			"it ends with record %" PRIu64 ", which is not the last one that was written", c->last);
	}
	return c->fault;
}

void audit_check_beside(struct audit_check *files, const struct audit_check *known)
{
	if (files->fault != AUDIT_WHOLE || files->goes_on || known->first == 0 || files->first <= known->first)
		return;
	files->line = 1;
	files->place[0] = '\0'; /* it is that of the last one */
	files->upto = files->first;
	call_it(files, AUDIT_MISSING, known->first,
		"the records before %" PRIu64 ", which the database knows from %" PRIu64
		" on, stand in no file, and it was not put aside there",
		files->first, known->first);
}

static json_t *fault_json(const struct audit_check *c)
{
	json_t *fault;

	if (c->fault == AUDIT_WHOLE)
		return json_null();
	fault = json_pack("{s:s, s:I, s:I, s:s}", "what", audit_fault_name(c->fault), "seq", (json_int_t)c->seq, "line",
		(json_int_t)c->line, "message", c->message);
	if (fault && c->place[0])
		json_object_set_new(fault, "file", json_string(c->place));
	return fault;
}

json_t *audit_check_to_json(const struct audit_check *c)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:s, s:o}", "ok", c->fault == AUDIT_WHOLE, "records",
		(json_int_t)c->records, "first", (json_int_t)c->first, "last", (json_int_t)c->last, "head", c->head,
		"fault", fault_json(c));
}
