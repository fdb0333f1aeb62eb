/* test_api_links.c - gateway/api/api_links.c: when a link of the store's own ends, as the caller is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "gateway/api/api.h"
#include "gateway/capture/jobs.h"
#include "test/unit/http_caller.h"
#include "test/unit/http_double.h"
#include "test/unit/temp_file.h"

#include <stdlib.h>
#include <string.h>

#define NOW_NS (1767607200 * CLOCK_NS_PER_S) /* 2026-01-05 10:00 */

/* A store whose links are good for at most so long. */
struct fake {
	struct driver driver;
	uint64_t ttl_max_s;
};

static struct fake fake;
static struct temp_file folder;
static struct gateway gw;
static char job_id[ID_MAX], user[] = "alice", driver[] = "s3", direct[] = "direct", bucket[] = "captures-1";
static struct http_server *server;

static char *fake_url(struct driver *d, const char *key, uint64_t *ttl_s, const char *file_name, struct err *err)
{
	(void)d, (void)key, (void)file_name, (void)err;
	if (*ttl_s > fake.ttl_max_s)
		*ttl_s = fake.ttl_max_s;
	return strdup("https://store/object");
}

static void fake_free(struct driver *d)
{
	(void)d;
}

static void on_request(void *ctx, struct http_request *rq)
{
	struct identity who = {.user_id = user};
	struct api_call a = {.gw = &gw, .rq = rq, .who = &who};

	(void)ctx;
	memcpy(a.param, job_id, sizeof(job_id));
	api_link(&a);
}

static void add_job(void)
{
	struct job *j = job_new(1);
	struct err err = {0};

	assert_non_null(j);
	id_new(job_id);
	memcpy(j->id, job_id, sizeof(j->id));
	capture_options_init(&j->options);
	j->mode = JOB_STORE;
	j->state = JOB_READY;
	j->created_at = NOW_NS;
	j->expires_at = NOW_NS + 7200 * CLOCK_NS_PER_S;
	if (job_set(&j->owner_user_id, "alice", &err) < 0 || job_set(&j->target, "{}", &err) < 0 ||
		job_set(&j->object_key, "captures/x.pcapng", &err) < 0 || job_db_insert(gw.db, j, &err) < 0)
		fail_msg("%s", err.msg);
	job_free(j);
}

static int setup(void **state)
{
	static const struct driver_ops ops = {.name = "fake", .url = fake_url, .free = fake_free};
	struct store_options s = {.chunk_bytes = 65536, .job_bytes_max = 1 << 30, .driver = &fake.driver};
	char *db, *spool;
	struct err err = {0};

	(void)state;
	memset(&gw, 0, sizeof(gw));
	clock_fake(NOW_NS);
	fake.driver.ops = &ops;
	temp_file_init(&folder);
	db = fs_path("%s/jobs.db", folder.dir);
	spool = fs_path("%s/spool", folder.dir);
	s.spool_dir = spool;
	if (!(gw.db = s.db = job_db_open(db, &err)) || !(gw.store = store_open(&s, &err)) ||
		!(gw.jobs = jobs_new(&err)) || http_client_global_init(&err) < 0)
		fail_msg("%s", err.msg);
	server = http_double_start(on_request, NULL);
	gw.config.storage_driver = driver;
	gw.config.storage_links = direct;
	gw.config.s3.bucket = bucket;
	gw.config.link_ttl_ms = 900 * 1000;
	gw.config.link_ttl_max_ms = 86400 * 1000;
	add_job();
	free(db);
	free(spool);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_stop(server);
	store_close(gw.store);
	jobs_free(gw.jobs);
	job_db_close(gw.db);
	temp_file_done(&folder);
	clock_fake(0);
	return 0;
}

static void link_ends(const char *wish, uint64_t want_s)
{
	char want[CLOCK_TEXT_MAX];
	struct http_call *call;
	struct caller c;
	struct err err = {0};
	json_t *answer;
	int rc;

	caller_use(&c, http_server_port(server), "/link");
	c.o.method = "POST";
	c.o.body = wish;
	c.o.body_len = strlen(wish);
	call = caller_run(&c, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(call), 200);
	assert_non_null(answer = http_call_json(call, &err));
	assert_string_equal(json_string_value(json_object_get(answer, "expires_at")),
		clock_rfc3339(NOW_NS + want_s * CLOCK_NS_PER_S, want));
	json_decref(answer);
	http_call_free(call);
}

static void test_direct_link_ends(void **state)
{
	(void)state;
	fake.ttl_max_s = UINT64_MAX;
	link_ends("{}", 900);
	link_ends("{\"ttl_s\":3600}", 3600);
	link_ends("{\"ttl_s\":86400}", 7200); /* with the file */
	fake.ttl_max_s = 1800;
	link_ends("{}", 900);
	link_ends("{\"ttl_s\":3600}", 1800); /* with the store's keys */
	link_ends("{\"ttl_s\":86400}", 1800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_direct_link_ends, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
