#include "collector/container_store.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/json_in.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#define RETRY_MS       10
#define LOG_CONFIG_MAX 65536u

bool container_handle_is_valid(const char *handle)
{
	size_t n = strlen(handle);

	return n >= 28 && n <= 36 && strspn(handle, "0123456789abcdef-") == n;
}

/* ---- what it says ---- */

/* The member as text, or "" when it is no string, too long, or holds what no terminated string can. */
static void take_text(const json_t *obj, const char *key, char *ret, size_t size)
{
	const json_t *v = json_object_get(obj, key);
	size_t n = json_string_length(v);

	if (json_is_string(v) && n < size && strlen(json_string_value(v)) == n)
		memcpy(ret, json_string_value(v), n + 1);
	else
		ret[0] = '\0';
}

static uint32_t index_of(const json_t *log_config)
{
	uint32_t found = AGENT_INDEX_ANY;
	json_t *inner;
	const json_t *v;

	if (!json_is_string(log_config) || json_string_length(log_config) > LOG_CONFIG_MAX)
		return found;
	inner = json_in_parse(json_string_value(log_config), json_string_length(log_config), NULL);
	v = json_object_get(inner, "index");
	if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < AGENT_INDEX_ANY)
		found = (uint32_t)json_integer_value(v);
	json_decref(inner);
	return found;
}

static bool same_address(const char *a, const char *b)
{
	struct in6_addr a6, b6;
	struct in_addr a4, b4;

	if (inet_pton(AF_INET, a, &a4) == 1)
		return inet_pton(AF_INET, b, &b4) == 1 && a4.s_addr == b4.s_addr;
	return inet_pton(AF_INET6, a, &a6) == 1 && inet_pton(AF_INET6, b, &b6) == 1 &&
	       memcmp(&a6, &b6, sizeof(a6)) == 0;
}

/* How many entries have this address; ret_handle: one of them. */
static size_t with_address(json_t *store, const char *address, const char **ret_handle)
{
	size_t n = 0;
	const char *handle;
	json_t *entry;

	json_object_foreach(store, handle, entry)
	{
		char ip[46];

		take_text(entry, "ip", ip, sizeof(ip));
		if (!same_address(ip, address))
			continue;
		*ret_handle = handle;
		n++;
	}
	return n;
}

static void take_entry(json_t *store, const char *handle, struct container_entry *ret)
{
	const json_t *entry = json_object_get(store, handle), *metadata = json_object_get(entry, "metadata");
	const char *any = NULL;

	memcpy(ret->handle, handle, strlen(handle) + 1);
	take_text(entry, "ip", ret->ip, sizeof(ret->ip));
	take_text(metadata, "app_id", ret->app, sizeof(ret->app));
	take_text(metadata, "container_workload", ret->workload, sizeof(ret->workload));
	ret->index = index_of(json_object_get(metadata, "log_config"));
	ret->ip_shared = with_address(store, ret->ip, &any) > 1;
}

/* An entry that says of itself that it is another's is nobody's. */
static bool is_its_own(const json_t *entry, const char *handle)
{
	const json_t *says = json_object_get(entry, "handle");

	return json_is_object(entry) &&
	       (!says || (json_is_string(says) && strcmp(json_string_value(says), handle) == 0));
}

static int find(json_t *store, const struct container_key *key, struct container_entry *ret, struct err *err)
{
	const char *handle = key->handle;

	if (!*handle) {
		size_t n = with_address(store, key->address, &handle);

		if (n == 0)
			return 0;
		if (n > 1)
			return err_set(err, ERR_STATE, "%zu containers have the address %s", n, key->address);
	}
	if (!container_handle_is_valid(handle) || !is_its_own(json_object_get(store, handle), handle))
		return 0;
	take_entry(store, handle, ret);
	return 1;
}

int container_store_parse(
	const void *p, size_t n, const struct container_key *key, struct container_entry *ret, struct err *err)
{
	struct err cause = {0};
	json_t *store;
	int rc;

	*ret = (struct container_entry){0};
	if (n == 0)
		return 0;
	store = json_in_parse(p, n, &cause);
	/* A parser's words hold an excerpt, and that is anybody's. */
	if (!store && cause.code == ERR_INPUT)
		return err_set(err, ERR_INPUT, "is half written, or no store");
	if (!store)
		return err_set(err, cause.code, "%s", cause.msg);
	if (json_is_object(store))
		rc = find(store, key, ret, err);
	else
		rc = err_set(err, ERR_INPUT, "is no object of containers");
	json_decref(store);
	return rc;
}

/* ---- the file ---- */

/* Who writes holds the lock alone.  -1: not to be had, which only means that what is read may not be whole. */
static int take_lock(const char *path, uint64_t deadline_ns)
{
	char *name = fs_path("%s_lock", path);
	int fd = name ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;

	free(name);
	while (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clock_mono_ns() >= deadline_ns) {
			fs_close(fd);
			return -1;
		}
		(void)poll(NULL, 0, RETRY_MS);
	}
	return fd;
}

/* Parsed after the lock is given back: the creation of containers waits for it. */
static int read_once(const char *path, uint64_t lock_deadline_ns, const struct container_key *key,
	struct container_entry *ret, size_t *ret_bytes, struct err *err)
{
	struct buf b;
	int lock, rc;

	buf_init(&b, CONTAINER_STORE_BYTES_MAX);
	lock = take_lock(path, lock_deadline_ns);
	rc = fs_read(path, &b, err);
	fs_close(lock);
	*ret_bytes = b.len;
	if (rc == 0)
		rc = container_store_parse(b.data, b.len, key, ret, err);
	buf_done(&b);
	return rc;
}

int container_store_read(
	const char *path, bool patient, const struct container_key *key, struct container_entry *ret, struct err *err)
{
	const uint64_t begin = clock_mono_ns(), wait = patient ? CONTAINER_STORE_WAIT_MS * CLOCK_NS_PER_MS : 0;
	struct err cause;
	size_t n;
	int rc;

	/* Half of the time is for the lock; the other half for those who write without one.  An empty file is either cut or holds none. */
	for (;;) {
		cause = (struct err){0};
		rc = read_once(path, begin + wait / 2, key, ret, &n, &cause);
		if (n > 0 && !(rc < 0 && cause.code == ERR_INPUT))
			break;
		if ((rc < 0 && cause.code != ERR_INPUT) || clock_mono_ns() >= begin + wait)
			break;
		(void)poll(NULL, 0, RETRY_MS);
	}
	if (rc == 0 && n == 0 && !patient)
		rc = err_set(&cause, ERR_INPUT, "is empty");
	if (rc < 0) {
		err_set(err, cause.code, "%s%s%s", cause.code == ERR_INPUT ? path : "",
			cause.code == ERR_INPUT ? ": " : "", cause.msg);
		err_detail(err, cause.detail);
	}
	return rc;
}
