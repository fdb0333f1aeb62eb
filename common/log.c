/* log.c - see log.h. */
#include "common/log.h"

#include "common/clock.h"
#include "common/parse.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_CONTEXT_MAX 64

static const char *const log_level_names[] = {"debug", "info", "warning", "error"};

static _Atomic(const char *) log_source = "pcapline";
static _Atomic int log_least = LOG_LEVEL_INFO;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER; /* around the write, so that no two lines mingle */

static _Thread_local char log_request_id[LOG_CONTEXT_MAX];
static _Thread_local char log_job_id[LOG_CONTEXT_MAX];

void log_init(const char *source, enum log_level least)
{
	atomic_store(&log_source, source);
	atomic_store(&log_least, (int)least);
}

int log_level_parse(const char *text, enum log_level *ret)
{
	for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++)
		if (strcmp(text, log_level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	return -1;
}

void log_context_request(const char *request_id)
{
	parse_printable(request_id != NULL ? request_id : "", log_request_id, sizeof(log_request_id));
}

void log_context_job(const char *job_id)
{
	parse_printable(job_id != NULL ? job_id : "", log_job_id, sizeof(log_job_id));
}

/* Now, as RFC 3339 in microseconds: several lines of one millisecond keep their order when sorted. */
static void log_now(char ret[40])
{
	uint64_t now_ns = clock_wall_ns();
	time_t s = (time_t)(now_ns / CLOCK_NS_PER_S);
	struct tm tm = {0};
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(ret, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, 40 - n, ".%06uZ", (unsigned)(now_ns % CLOCK_NS_PER_S / 1000));
}

/* The line without its end; takes fields.  NULL: no memory. */
static char *log_line(enum log_level level, const char *event, json_t *fields)
{
	json_t *line = json_object();
	char *text = NULL;
	char now[40];
	int rc = 0;

	log_now(now);
	rc |= json_object_set_new(line, "ts", json_string(now));
	rc |= json_object_set_new(line, "level", json_string(log_level_names[level]));
	rc |= json_object_set_new(line, "source", json_string(atomic_load(&log_source)));
	rc |= json_object_set_new(line, "event", json_string(event));
	if (log_request_id[0] != '\0')
		rc |= json_object_set_new(line, "request_id", json_string(log_request_id));
	if (log_job_id[0] != '\0')
		rc |= json_object_set_new(line, "job", json_string(log_job_id));
	if (fields != NULL)
		rc |= json_object_set_new(line, "data", fields);
	if (rc == 0)
		text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(line);
	return text;
}

/* One write(2) of n bytes; the rest follows only when stderr took a part.  A log that cannot be written is nobody's
 * error: there is no other place to tell it. */
static void log_put(const char *text, size_t n)
{
	bool locked = pthread_mutex_lock(&log_lock) == 0; /* without it a line may be torn, but not lost */
	ssize_t put;

	while (n > 0) {
		put = write(STDERR_FILENO, text, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			break;
		text += put;
		n -= (size_t)put;
	}
	if (locked)
		pthread_mutex_unlock(&log_lock);
}

void log_event(enum log_level level, const char *event, json_t *fields)
{
	static const char lost[] = "{\"level\":\"error\",\"event\":\"log.lost\"}\n";
	char *text, *line;
	size_t n;

	if ((int)level < atomic_load(&log_least)) {
		json_decref(fields);
		return;
	}
	text = log_line(level, event, fields);
	n = text != NULL ? strlen(text) : 0;
	line = text != NULL ? realloc(text, n + 1) : NULL;
	if (line == NULL) {
		free(text);
		log_put(lost, sizeof(lost) - 1);
		return;
	}
	line[n] = '\n'; /* in the terminator's place */
	log_put(line, n + 1);
	free(line);
}

void log_err(enum log_level level, const char *event, const struct err *e, json_t *fields)
{
	json_t *error = json_object();

	if (fields == NULL)
		fields = json_object();
	/* A member that cannot be made is left out: the rest of the line is worth more than none. */
	json_object_set_new(error, "code", json_string(err_api_code(e)));
	json_object_set_new(error, "message", json_string(e->msg));
	if (e->field[0] != '\0')
		json_object_set_new(error, "field", json_string(e->field));
	json_object_set_new(fields, "error", error);
	log_event(level, event, fields);
}
