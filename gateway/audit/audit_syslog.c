#include "gateway/audit/audit_syslog.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "schema/audit_cef.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define TELL_NS (60 * CLOCK_NS_PER_S)
#define WAIT_MS 100 /* a burst is longer than the socket's queue, which holds ten where nobody raised that */
#define HUNG_NS (10 * CLOCK_NS_PER_S)

/* Not libc's syslog(): it waits for a daemon that hangs, without end. */
struct audit_syslog {
	const struct config_gateway *config;
	int facility;
	int fd; /* -1: not connected */
	uint64_t lost, told_ns, hung_ns;
};

static int facility_of(const char *name)
{
	static const struct {
		const char *name;
		int facility;
	} all[] = {{"auth", LOG_AUTH}, {"authpriv", LOG_AUTHPRIV}, {"daemon", LOG_DAEMON}, {"user", LOG_USER},
		{"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
		{"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i].facility;
	return LOG_AUTH;
}

struct audit_syslog *audit_syslog_new(const struct config_gateway *c, struct err *err)
{
	struct audit_syslog *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->config = c;
	s->facility = facility_of(c->audit_syslog_facility);
	s->fd = -1;
	return s;
}

static int dial(struct audit_syslog *s)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", s->config->audit_syslog_socket);
	if ((s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return -1;
	if (connect(s->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	fs_close(s->fd);
	s->fd = -1;
	return -1;
}

static bool wait_for_room(struct audit_syslog *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	uint64_t now = clock_mono_ns();

	if (s->hung_ns > 0 && now - s->hung_ns < HUNG_NS)
		return false;
	s->hung_ns = poll(&p, 1, WAIT_MS) > 0 ? 0 : now;
	return s->hung_ns == 0;
}

/* A daemon that was started anew has another socket of the same name. */
static int send_text(struct audit_syslog *s, const char *text)
{
	for (int tries = 0; tries < 3; tries++) {
		if (s->fd < 0 && dial(s) < 0)
			return -1;
		if (send(s->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN && wait_for_room(s))
			continue;
		if (errno == EAGAIN || errno == EMSGSIZE)
			return -1;
		fs_close(s->fd);
		s->fd = -1;
	}
	return -1;
}

static void tell_lost(struct audit_syslog *s, int errnum)
{
	uint64_t now = clock_mono_ns();

	s->lost++;
	if (s->told_ns > 0 && now - s->told_ns < TELL_NS)
		return;
	s->told_ns = now;
	log_event(LOG_LEVEL_WARNING, "audit.syslog_lost",
		json_pack("{s:I, s:s, s:s}", "records", (json_int_t)s->lost, "socket", s->config->audit_syslog_socket,
			"error", strerror(errnum)));
	s->lost = 0;
}

void audit_syslog_put(struct audit_syslog *s, const json_t *record, const char *line)
{
	const char *outcome = s ? json_string_value(json_object_get(record, "outcome")) : NULL;
	int level = outcome && strcmp(outcome, "ok") == 0 ? LOG_INFO : LOG_WARNING;
	char *cef = NULL, *text, when[32];
	time_t now;
	struct tm tm;

	if (!s)
		return;
	if (strcmp(s->config->audit_syslog_format, "cef") == 0 && !(cef = audit_cef(record, NULL))) {
		tell_lost(s, ENOMEM);
		return;
	}
	/* As RFC 3164 has it, with this machine's time; the record says its own. */
	now = (time_t)(clock_wall_ns() / CLOCK_NS_PER_S);
	if (!localtime_r(&now, &tm) || !strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm))
		when[0] = '\0';
	errno = 0;
	text = fs_path("<%d>%s pcap-gateway[%ld]: %s", s->facility | level, when, (long)getpid(), cef ? cef : line);
	if (!text || send_text(s, text) < 0)
		tell_lost(s, text ? errno : ENOMEM);
	free(text);
	free(cef);
}

void audit_syslog_free(struct audit_syslog *s)
{
	if (!s)
		return;
	if (s->lost > 0)
		log_event(LOG_LEVEL_WARNING, "audit.syslog_lost", json_pack("{s:I}", "records", (json_int_t)s->lost));
	fs_close(s->fd);
	free(s);
}
