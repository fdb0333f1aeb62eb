/* test_driver_s3v2_lies.c - libs3 against a store that lies.  What libs3 2.0 would believe is not believed: failed and lost uploads, answers cut short, peers that nobody vouches
 * for; and honest answers that it would not believe are. */
#include "test/unit/http_rig.h"
#include "test/unit/s3v2_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- lies about uploads ---- */

static void test_failed_puts(void **state)
{
	static const struct {
		enum lie lie;
		enum err_code code;
		const char *detail, *says;
	} cases[] = {
		{LIE_PUT_500, ERR_UNAVAILABLE, "", "HTTP 500"},
		{LIE_PUT_502, ERR_UNAVAILABLE, "", "HTTP 502"},
		{LIE_PUT_LOST, ERR_UNAVAILABLE, "", "nothing stands there"},
		{LIE_PUT_CUT, ERR_NET, "", "cut short"},
		{LIE_PUT_REDIRECT, ERR_STATE, "", "HTTP 307"},
		{LIE_PUT_DIGEST, ERR_NET, "bad_digest", "BadDigest"},
		{LIE_PUT_SLOW_DOWN, ERR_UNAVAILABLE, "slow_down", "SlowDown"},
		{LIE_PUT_CHATTER, ERR_UNAVAILABLE, "", "HTTP 500"},
		{LIE_PUT_DETAILS, ERR_PERM, "access_denied", "AccessDenied"},
	};
	struct s3v2_rig *f = *state;
	void *u = s3v2_all_but_complete(f);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};

		lying_store_set(&f->store, cases[i].lie);
		if (s3v2_complete(f, u, &err) == 0 || err.code != cases[i].code ||
			strcmp(err.detail, cases[i].detail) != 0 || !strstr(err.msg, cases[i].says))
			fail_msg("lie %d: code %d, %s", (int)cases[i].lie, (int)err.code, err.msg);
		assert_int_equal(lying_store_puts(&f->store), i + 1); /* each once; no redirect was followed */
		assert_true(s3v2_is_staged(f));
	}
	lying_store_set(&f->store, LIE_NONE);
	assert_int_equal(s3v2_complete(f, u, NULL), 0);
	f->d->ops->upload_free(u);
	assert_true(lying_store_has(&f->store, f->bytes, S3V2_BYTES));
}

/* Honest answers that libs3 takes for failures, or cannot bear. */
static void test_good_puts(void **state)
{
	static const enum lie lies[] = {LIE_NO_CONTINUE, LIE_LOWER_CASE, LIE_MANY_HEADERS};
	struct s3v2_rig *f = *state;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		lying_store_set(&f->store, lies[i]);
		f->store.there = false;
		s3v2_whole_object(f);
		assert_true(lying_store_has(&f->store, f->bytes, S3V2_BYTES));
		assert_true(s3v2_sent(f, "\r\nExpect: 100-continue\r\n")); /* or the first of them proves nothing */
		for (size_t k = 0; k < S3V2_PARTS; k++) {
			free(f->parts[k]);
			f->parts[k] = NULL;
		}
	}
}

static void test_wrong_objects(void **state)
{
	static const enum lie lies[] = {LIE_ETAG, LIE_SIZE};
	struct s3v2_rig *f = *state;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct err err = {0};
		void *u = i == 0 ? s3v2_all_but_complete(f) : s3v2_begin(f, f->job);

		lying_store_set(&f->store, lies[i]);
		assert_int_equal(s3v2_complete(f, u, &err), -1);
		if (err.code != ERR_IO || !strstr(err.msg, "were sent"))
			fail_msg("%s", err.msg);
		assert_false(f->store.there); /* what is wrong does not stay */
		assert_true(s3v2_is_staged(f));
		f->d->ops->upload_free(u);
	}
}

static void *give_up(void *arg)
{
	struct s3v2_rig **both = arg;
	struct s3v2_rig *f = both[0];

	while (lying_store_puts(&f->store) == 0)
		usleep(1000);
	f->d->ops->upload_cancel(both[1]);
	return NULL;
}

static void test_cancel(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	void *u = s3v2_all_but_complete(f), *both[2] = {f, u};
	pthread_t thread;
	char *text = NULL;

	lying_store_set(&f->store, LIE_PUT_HANGS);
	assert_int_equal(pthread_create(&thread, NULL, give_up, both), 0);
	assert_int_equal(s3v2_complete(f, u, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	pthread_join(thread, NULL);
	assert_int_equal(s3v2_complete(f, u, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(f->d->ops->upload_part(u, S3V2_PARTS + 1, false, -1, 1, "", &text, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	lying_store_set(&f->store, LIE_NONE);
	assert_int_equal(f->d->ops->upload_abort(u, &err), 0);
	f->d->ops->upload_free(u);
	assert_false(s3v2_is_staged(f));
}

static void *cancel_all(void *arg)
{
	struct s3v2_rig *f = arg;

	while (lying_store_puts(&f->store) == 0)
		usleep(1000);
	f->d->ops->cancel(f->d);
	return NULL;
}

/* Of the driver: nobody waits, whatever was asked; but who is being sent an object gets it. */
static void test_cancel_all(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	void *u = s3v2_all_but_complete(f);
	uint8_t got[16];
	pthread_t thread;

	lying_store_set(&f->store, LIE_PUT_HANGS);
	assert_int_equal(pthread_create(&thread, NULL, cancel_all, f), 0);
	assert_int_equal(s3v2_complete(f, u, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	pthread_join(thread, NULL);
	assert_int_equal(f->d->ops->check(f->d, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(f->d->ops->erase(f->d, f->key, &f->erased, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(f->d->ops->upload_abort(u, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_true(s3v2_is_staged(f)); /* for the next process */
	f->d->ops->upload_free(u);
	lying_store_set(&f->store, LIE_NONE);
	memcpy(f->store.object, f->bytes, S3V2_BYTES);
	f->store.object_n = S3V2_BYTES;
	f->store.there = true;
	assert_int_equal(f->d->ops->read(f->d, f->key, 16, got, sizeof(got), &err), 0);
	assert_memory_equal(got, f->bytes + 16, sizeof(got));
}

static void test_silence(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	void *u;

	f->d->ops->free(f->d);
	f->o.idle_timeout_ms = 1000;
	s3v2_open(f);
	u = s3v2_all_but_complete(f);
	lying_store_set(&f->store, LIE_PUT_HANGS);
	assert_int_equal(s3v2_complete(f, u, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	f->d->ops->upload_free(u);
}

static void test_too_large(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	void *u = s3v2_begin(f, "");
	char *text = NULL;

	assert_int_equal(f->d->ops->upload_part(u, 1, false, -1, (UINT64_C(5) << 30) + 1, "", &text, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	s3v2_put_parts(f, u);
	assert_int_equal(f->d->ops->upload_part(u, S3V2_PARTS + 1, false, -1, UINT64_C(5) << 30, "", &text, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	f->d->ops->upload_free(u);
}

/* ---- lies about reading and erasing ---- */

static void test_bad_reads(void **state)
{
	static const struct {
		enum lie lie;
		enum err_code code;
	} cases[] = {{LIE_GET_CUT, ERR_NET}, {LIE_GET_SHORT, ERR_IO}, {LIE_GET_WHOLE, ERR_LIMIT}};
	struct s3v2_rig *f = *state;
	uint8_t got[1000];

	s3v2_whole_object(f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};

		lying_store_set(&f->store, cases[i].lie);
		if (f->d->ops->read(f->d, f->key, 100, got, sizeof(got), &err) == 0 || err.code != cases[i].code)
			fail_msg("lie %d: code %d, %s", (int)cases[i].lie, (int)err.code, err.msg);
	}
}

static void test_erase_is_verified(void **state)
{
	static const enum lie lies[] = {LIE_DELETE_KEEPS, LIE_DELETE_HIDES};
	struct s3v2_rig *f = *state;

	s3v2_whole_object(f);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct err err = {0};

		lying_store_set(&f->store, lies[i]);
		assert_int_equal(f->d->ops->erase(f->d, f->key, &f->erased, &err), -1);
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		assert_int_equal(f->erased.objects, 0);
	}
}

/* ---- TLS ---- */

/* ca_pem NULL: the system's. */
static struct err try_tls(struct s3v2_rig *f, const char *ca_pem, const char *host, uint16_t port)
{
	struct err err = {0};

	if (ca_pem)
		temp_file_write(&f->folder, ca_pem, strlen(ca_pem));
	snprintf(f->endpoint, sizeof(f->endpoint), "https://%s:%u", host, port);
	f->o.ca_file = ca_pem ? f->folder.path : "";
	f->d->ops->free(f->d);
	s3v2_open(f);
	assert_null(f->d->ops->upload_begin(f->d, f->key, &f->tags, "", &err));
	return err;
}

/* libs3 takes any certificate. */
static void test_certificates(void **state)
{
	struct s3v2_rig *f = *state;
	struct tls_files server;
	struct rig_certs certs;
	struct rig rig;
	uint16_t port;

	rig_certs_init(&certs);
	server = certs.server;
	server.ca_pem = NULL; /* asks for no client's certificate */
	rig_init(&rig);
	rig.o.tls = &server;
	rig_start(&rig);
	port = http_server_port(rig.server);
	assert_int_equal(try_tls(f, certs.client[RIG_WRONG_CA].cert_pem, "127.0.0.1", port).code, ERR_AUTH);
	assert_int_equal(try_tls(f, NULL, "127.0.0.1", port).code, ERR_AUTH);
	assert_int_equal(try_tls(f, certs.server.ca_pem, "other.localhost", port).code, ERR_AUTH);
	assert_int_equal(atomic_load(&rig.headers), 0); /* no request, and no signature, went to any of them */
	try_tls(f, certs.server.ca_pem, "127.0.0.1", port);
	assert_int_not_equal(atomic_load(&rig.headers), 0);
	rig_stop(&rig);
	rig_certs_done(&certs);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, s3v2_setup, s3v2_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_failed_puts),
		TEST(test_good_puts),
		TEST(test_wrong_objects),
		TEST(test_cancel),
		TEST(test_cancel_all),
		TEST(test_silence),
		TEST(test_too_large),
		TEST(test_bad_reads),
		TEST(test_erase_is_verified),
		TEST(test_certificates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
