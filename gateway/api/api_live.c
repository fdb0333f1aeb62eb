/* GET /v1/captures/{id}/live: the stream of a running job, from now on or from a byte. */
#include "common/parse.h"
#include "gateway/api/api.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/capture/live.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static ssize_t stream_read(void *ctx, uint8_t *dst, size_t max)
{
	return live_read(ctx, dst, max);
}

static void stream_close(void *ctx)
{
	live_detach(ctx);
}

static const struct http_stream stream_ops = {.read = stream_read, .close = stream_close};

void api_stream_reply(struct api_call *a, struct live_viewer *v, enum job_format format, const char *job_id,
	uint64_t offset, size_t prelude_bytes)
{
	char text[32];

	if (job_id)
		http_reply_header(a->rq, "Pcap-Job", job_id);
	snprintf(text, sizeof(text), "%" PRIu64, offset);
	http_reply_header(a->rq, "Pcap-Offset", text);
	snprintf(text, sizeof(text), "%zu", prelude_bytes);
	http_reply_header(a->rq, "Pcap-Prelude", text);
	http_reply_header(a->rq, "X-Accel-Buffering", "no");
	/* The last bytes may fit into the kernel although the viewer takes nothing: that must not hold a thread for as long as a connection may idle. */
	http_reply_header(a->rq, "Connection", "close");
	http_reply_stream(a->rq, 200, format == JOB_PCAP ? "application/vnd.tcpdump.pcap" : "application/x-pcapng",
		&stream_ops, v);
}

static int read_offset(struct api_call *a, int64_t *ret, struct err *err)
{
	static const char *const names[] = {"offset", NULL};
	const char *text = http_request_query(a->rq, "offset");
	uint64_t offset;

	*ret = -1;
	if (http_request_query_known(a->rq, names, err) < 0)
		return -1;
	if (!text)
		return 0;
	if (parse_u64(text, 0, INT64_MAX, &offset, err) < 0) {
		err_in(err, "offset");
		return err_field(err, "offset");
	}
	*ret = (int64_t)offset;
	return 0;
}

void api_live(struct api_call *a)
{
	struct job *j = api_job(a, api_may_have);
	struct capture *c = NULL;
	struct live_viewer *v = NULL;
	struct err err = {0};
	uint64_t at = 0;
	size_t prelude = 0;
	int64_t offset;

	if (!j)
		return;
	if (read_offset(a, &offset, &err) == 0) {
		if (!(c = jobs_find(a->gw->jobs, j->id))) {
			err_set(&err, ERR_STATE, "the capture has ended (%s)", job_state_name(j->state));
			err_detail(&err, "job_ended");
		} else if (http_request_is_head(a->rq) ||
			   api_audit_job(a, "capture.attach", j, json_pack("{s:I}", "offset", (json_int_t)offset),
				   &err) == 0) {
			v = capture_attach(c, offset, http_request_fd(a->rq), &at, &prelude, &err);
		}
	}
	if (v && http_request_is_head(a->rq)) {
		live_detach(v);
		http_reply_empty(a->rq, 200);
	} else if (v) {
		api_stream_reply(a, v, j->format, j->id, at, prelude);
	} else {
		http_reply_err(a->rq, &err);
	}
	capture_unref(c);
	job_free(j);
}
