#include "gateway/targets/director.h"

#include "common/fs.h"
#include "common/parse.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Codes in its errors; the status alone does not tell: 401 is for a bad token as for a good one without the right. */
#define CODE_NO_RIGHT      600000
#define CODE_NO_DEPLOYMENT 70000

static int failed(struct err *err, const char *text)
{
	err_set(err, ERR_NET, "the director's answer is not what was asked for: %s", text);
	return err_detail(err, "platform_failed");
}

/* ---- the list of instances ---- */

/* Text that can be part of a name; NULL: it is none. */
static const char *name_of(json_t *entry, const char *key)
{
	json_t *v = json_object_get(entry, key);
	const char *text = json_string_value(v);
	size_t n = json_string_length(v);

	return text && n > 0 && n < DIRECTOR_TEXT_MAX && !strchr(text, '/') && parse_is_text(text, n, false) ? text
													     : NULL;
}

static bool read_instance(json_t *entry, struct director_instance *ret)
{
	json_t *index = json_object_get(entry, "index"), *ips = json_object_get(entry, "ips");
	const char *id = name_of(entry, "id");

	ret->group = name_of(entry, "job"); /* what an instance group was called once */
	ret->id = id ? id : "";
	ret->index = json_is_integer(index) && json_integer_value(index) >= 0 ? (uint64_t)json_integer_value(index)
									      : DIRECTOR_NO_INDEX;
	ret->ips = json_is_array(ips) && json_array_size(ips) > 0 ? ips : NULL;
	ret->has_vm = ret->ips && !json_is_null(json_object_get(entry, "cid")) &&
		      !json_is_null(json_object_get(entry, "agent_id"));
	ret->expects_vm = !json_is_false(json_object_get(entry, "expects_vm"));
	return ret->group && (id || ret->index != DIRECTOR_NO_INDEX);
}

int director_instances_read(json_t *answer, struct director_instances *ret, struct err *err)
{
	size_t n, size = json_array_size(answer);
	json_t *entry;

	memset(ret, 0, sizeof(*ret));
	if (!json_is_array(answer))
		return failed(err, "no list of instances");
	if (size > DIRECTOR_INSTANCES_MAX) {
		err_set(err, ERR_NET, "the director lists %zu instances, more than the %d that are taken", size,
			DIRECTOR_INSTANCES_MAX);
		return err_detail(err, "platform_failed");
	}
	if (!(ret->items = calloc(size + 1, sizeof(*ret->items))))
		return err_nomem(err);
	json_array_foreach(answer, n, entry)
	{
		if (read_instance(entry, &ret->items[ret->n]))
			ret->n++;
	}
	if (ret->n == 0 && size > 0) {
		director_instances_done(ret);
		return failed(err, "its list of instances names none");
	}
	ret->list = json_incref(answer);
	return 0;
}

void director_instances_done(struct director_instances *d)
{
	json_decref(d->list);
	free(d->items);
	memset(d, 0, sizeof(*d));
}

/* ---- addresses ---- */

/* Of one host: "10.0.0.16/28" stands for a network that the machine has been given, and says nothing of its own address. */
static bool is_one_host(int family, const char *prefix)
{
	return !prefix || strcmp(prefix, family == AF_INET ? "/32" : "/128") == 0;
}

static bool read_address(json_t *v, char ret[DIRECTOR_ADDRESS_MAX])
{
	static const unsigned char none[sizeof(struct in6_addr)];
	unsigned char raw[sizeof(struct in6_addr)] = {0};
	char text[DIRECTOR_ADDRESS_MAX + 4];
	const char *said = json_string_value(v), *prefix = said ? strchr(said, '/') : NULL;
	size_t n = prefix ? (size_t)(prefix - said) : json_string_length(v);
	int family;

	if (!said || n >= sizeof(text))
		return false;
	memcpy(text, said, n);
	text[n] = '\0';
	family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(family, text, raw) == 1 && is_one_host(family, prefix) &&
	       memcmp(raw, none, sizeof(raw)) != 0 && inet_ntop(family, raw, ret, DIRECTOR_ADDRESS_MAX);
}

static bool is_there(char (*list)[DIRECTOR_ADDRESS_MAX], size_t n, const char *address)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], address) == 0)
			return true;
	}
	return false;
}

size_t director_addresses(const struct director_instance *i, char (*ret)[DIRECTOR_ADDRESS_MAX], size_t max)
{
	char address[DIRECTOR_ADDRESS_MAX];
	size_t k, n = 0;
	json_t *v;

	json_array_foreach(i->ips, k, v)
	{
		if (n < max && read_address(v, address) && !is_there(ret, n, address))
			memcpy(ret[n++], address, sizeof(address));
	}
	return n;
}

/* ---- asking ---- */

static bool has_code(const struct platform_answer *a, int status, json_int_t code)
{
	return a->status == status && json_integer_value(json_object_get(a->json, "code")) == code;
}

static int no_deployment(const char *name, struct err *err)
{
	char shown[80];

	return err_set(err, ERR_NOT_FOUND, "there is no deployment \"%s\" that you may capture from",
		parse_printable(name, shown, sizeof(shown)));
}

/* An answer that tells neither of the deployment nor of the right to it. */
static int refuse(const struct platform *p, const struct platform_answer *a, struct err *err)
{
	const char *description = json_string_value(json_object_get(a->json, "description"));

	if (a->status == 403) { /* never the director's: something before it answers, which ends nothing */
		err_set(err, ERR_NET,
			"the director failed (HTTP 403, which it never says: something before it answers)");
		return err_detail(err, "platform_failed");
	}
	if (a->status != 404)
		return platform_refuse(p, a, description ? description : "", err);
	err_set(err, ERR_NET,
		"the director does not know what a deployment is (HTTP 404): is bosh.director its address?");
	return err_detail(err, "platform_failed");
}

/* One of a deployment's parts; with probe only its status. */
static int get(const struct platform *p, const char *token, const char *name, const char *part, bool probe,
	struct platform_answer *ret, struct err *err)
{
	char *encoded = platform_encode(name), *path = encoded ? fs_path("/deployments/%s/%s", encoded, part) : NULL;
	int rc;

	if (!path)
		rc = err_nomem(err);
	else
		rc = probe ? platform_probe(p, token, path, ret, err) : platform_get(p, token, path, ret, err);
	free(encoded);
	free(path);
	return rc;
}

/* Not for the likes of this user: who may see the deployment is told what is missing, for others it is not there. */
static int explain_denial(const struct platform *p, const char *token, const char *name, struct err *err)
{
	struct platform_answer a;
	char shown[80];
	int rc = get(p, token, name, "instances", true, &a, err);

	if (rc < 0)
		return rc;
	if (a.status == 200)
		rc = err_set(err, ERR_PERM,
			"you may see \"%s\", but to capture from it takes what bosh ssh takes: a token with the scope "
			"bosh.admin, or with bosh.teams.TEAM.admin of one of the deployment's teams",
			parse_printable(name, shown, sizeof(shown)));
	else if (has_code(&a, 401, CODE_NO_RIGHT) || has_code(&a, 404, CODE_NO_DEPLOYMENT))
		rc = no_deployment(name, err);
	else
		rc = refuse(p, &a, err);
	platform_answer_done(&a);
	return rc;
}

/* Is it JSON's list?  A portal in front that shows everybody its page says 200 too, and that is no right to anything. */
static bool begins_a_list(const char *text)
{
	return text[strspn(text, " ?")] == '['; /* line ends are shown as "?" */
}

/* The names of a deployment's variables, which nobody needs, are for its admins only. */
static int check_admin(const struct platform *p, const char *token, const char *name, struct err *err)
{
	struct platform_answer a;
	int rc = get(p, token, name, "variables", true, &a, err);

	if (rc < 0)
		return rc;
	if (a.status == 200)
		rc = begins_a_list(a.text) ? 0 : failed(err, "no list of variables");
	else if (has_code(&a, 404, CODE_NO_DEPLOYMENT)) /* it says so before it looks at rights */
		rc = no_deployment(name, err);
	else if (has_code(&a, 401, CODE_NO_RIGHT))
		rc = explain_denial(p, token, name, err);
	else
		rc = refuse(p, &a, err);
	platform_answer_done(&a);
	return rc;
}

int director_deployment(
	const struct platform *p, const char *token, const char *name, struct director_instances *ret, struct err *err)
{
	struct platform_answer a;
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (check_admin(p, token, name, err) < 0 || get(p, token, name, "instances", false, &a, err) < 0)
		return -1;
	if (a.status == 200)
		rc = director_instances_read(a.json, ret, err);
	else if (has_code(&a, 401, CODE_NO_RIGHT) || has_code(&a, 404, CODE_NO_DEPLOYMENT))
		rc = no_deployment(name, err); /* since a moment ago */
	else
		rc = refuse(p, &a, err);
	platform_answer_done(&a);
	return rc;
}
