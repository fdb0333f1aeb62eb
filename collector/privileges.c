#include "collector/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Leak checkers look at the process from outside. */
#if defined(__SANITIZE_ADDRESS__)
#define TRACEABLE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRACEABLE 1
#endif
#endif
#ifndef TRACEABLE
#define TRACEABLE 0
#endif

#define PASSWD_BYTES 16384
#define LOW_PORT_END 1024

static const struct {
	unsigned capability;
	const char *name;
} for_containers[] = {
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
};
#define FOR_CONTAINERS_N (sizeof(for_containers) / sizeof(for_containers[0]))

static bool is_wanted(const struct privileges_options *o, unsigned capability)
{
	switch (capability) {
	case CAP_SYS_ADMIN:
		return o->enter;
	case CAP_SYS_PTRACE:
		return o->processes;
	case CAP_DAC_READ_SEARCH:
		return o->containers;
	default:
		return false;
	}
}

struct privileges_options privileges_wanted(const struct config_agent *config)
{
	const bool enter = config_agent_may_enter(config);

	return (struct privileges_options){
		.run_as = config->run_as,
		.low_port = config->listen_port > 0 && config->listen_port < LOW_PORT_END,
		.containers = config_agent_offers(config, "container"),
		.enter = enter,
		.processes = enter && *config->containers_proc,
	};
}

struct account {
	uid_t uid;
	gid_t gid;
};

static int find_account(const char *name, struct account *ret, struct err *err)
{
	char *text = malloc(PASSWD_BYTES);
	struct passwd pw, *found = NULL;
	int rc = -1, e;

	if (!text)
		return err_nomem(err);
	e = getpwnam_r(name, &pw, text, PASSWD_BYTES, &found);
	if (e != 0) {
		err_sys(err, e, "run_as: user \"%s\"", name);
	} else if (!found) {
		err_set(err, ERR_NOT_FOUND, "run_as: there is no user \"%s\"", name);
	} else {
		ret->uid = pw.pw_uid;
		ret->gid = pw.pw_gid;
		rc = 0;
	}
	free(text);
	return rc;
}

static int keep(unsigned capability, const char *name, struct err *err)
{
	if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, capability) < 0)
		return err_set(err, ERR_PERM, "cannot keep %s", name);
	return 0;
}

/* After this the sets that capng_apply or capng_change_id will apply hold what we keep, and nothing else. */
static int choose_capabilities(const struct privileges_options *o, struct err *err)
{
	bool raw, bind, has[FOR_CONTAINERS_N];

	if (capng_get_caps_process() < 0)
		return err_set(err, ERR_PERM, "cannot read the capabilities of this process");
	raw = capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW);
	bind = capng_have_capability(CAPNG_PERMITTED, CAP_NET_BIND_SERVICE);
	for (size_t i = 0; i < FOR_CONTAINERS_N; i++)
		has[i] = is_wanted(o, for_containers[i].capability) &&
			 capng_have_capability(CAPNG_PERMITTED, for_containers[i].capability);
	if (!raw)
		return err_set(err, ERR_PERM,
			"missing capability CAP_NET_RAW, without which nothing can be captured (start as root, or with "
			"setcap cap_net_raw+ep, or AmbientCapabilities=CAP_NET_RAW)");
	capng_clear(CAPNG_SELECT_ALL);
	if (keep(CAP_NET_RAW, "CAP_NET_RAW", err) < 0)
		return -1;
	if (o->low_port && bind && keep(CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", err) < 0)
		return -1;
	for (size_t i = 0; i < FOR_CONTAINERS_N; i++) {
		if (has[i] && keep(for_containers[i].capability, for_containers[i].name, err) < 0)
			return -1;
	}
	return 0;
}

/* Only who holds CAP_SETPCAP may empty the bounding set; for others no_new_privs makes it meaningless. */
static int apply_capabilities(bool bounds, struct err *err)
{
	int rc;

	if (bounds && (rc = capng_apply(CAPNG_SELECT_BOUNDS)) < 0)
		return err_set(err, ERR_PERM, "emptying the bounding set failed (step %d)", rc);
	rc = capng_apply(CAPNG_SELECT_CAPS);
	if (rc < 0)
		return err_set(err, ERR_PERM, "giving up capabilities failed (step %d): %s", rc, strerror(errno));
	return 0;
}

static int become(const struct account *a, const char *name, bool bounds, struct err *err)
{
	unsigned flags = CAPNG_INIT_SUPP_GRP | (bounds ? CAPNG_CLEAR_BOUNDING : 0u);
	int rc = capng_change_id((int)a->uid, (int)a->gid, (capng_flags_t)flags);

	if (rc < 0)
		return err_set(
			err, ERR_PERM, "run_as: becoming \"%s\" failed (step %d): %s", name, rc, strerror(errno));
	return 0;
}

static int close_doors(struct err *err)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "no_new_privs");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_sys(err, errno, "core files");
	/* Also undoes that the kernel gave /proc/self back when ids changed. */
	if (!TRACEABLE && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, errno, "dumpable");
	return 0;
}

int privileges_drop(const struct privileges_options *o, struct err *err)
{
	struct account account = {0};
	bool bounds;

	if (*o->run_as && geteuid() != 0)
		return err_set(err, ERR_PERM, "run_as: only root can become \"%s\"", o->run_as);
	if (*o->run_as && find_account(o->run_as, &account, err) < 0)
		return -1;
	if (choose_capabilities(o, err) < 0)
		return -1;
	bounds = prctl(PR_CAPBSET_READ, CAP_NET_RAW, 0, 0, 0) == 1 && geteuid() == 0;
	if (*o->run_as ? become(&account, o->run_as, bounds, err) < 0 : apply_capabilities(bounds, err) < 0)
		return -1;
	return close_doors(err);
}

char *privileges_missing(const struct privileges_options *o, char *ret, size_t size)
{
	const bool known = capng_get_caps_process() == 0;
	size_t n = 0;

	if (size > 0)
		ret[0] = '\0';
	for (size_t i = 0; i < FOR_CONTAINERS_N; i++) {
		if (!is_wanted(o, for_containers[i].capability))
			continue;
		if (known && capng_have_capability(CAPNG_EFFECTIVE, for_containers[i].capability))
			continue;
		if (n < size)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "", for_containers[i].name);
	}
	return ret;
}

char *privileges_text(char *ret, size_t size)
{
	char *text = NULL;

	if (capng_get_caps_process() == 0)
		text = capng_print_caps_text(CAPNG_PRINT_BUFFER, CAPNG_EFFECTIVE);
	snprintf(ret, size, "%s", text ? text : "unknown");
	free(text);
	return ret;
}
