/* sender.c - numbered UDP datagrams for the bench, evenly paced or as fast as it goes.
 *
 * usage: sender ADDRESS PORT FRAME PPS SECONDS
 *   ADDRESS  numeric IPv4
 *   FRAME    bytes of the whole Ethernet frame, 64..1514
 *   PPS      0: as fast as it goes
 * Each datagram begins with its number and the wall clock at its sending (ns), both 64 bits in host order.  At the end one line on
 * stdout: "packets seconds late_us", the last being the most that any batch left behind its time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S     UINT64_C(1000000000)
#define HEADER_BYTES 42 /* Ethernet, IPv4, UDP */
#define FRAME_MIN    64
#define FRAME_MAX    1514
#define BATCH_MAX    32
#define TICK_NS      200000 /* a paced sender wakes up no more often: 10 packets at 50 kpps */

struct batch {
	uint8_t payload[BATCH_MAX][FRAME_MAX];
	struct iovec iov[BATCH_MAX];
	struct mmsghdr msg[BATCH_MAX];
};

struct result {
	uint64_t packets, ns, late_ns;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void batch_init(struct batch *b, size_t payload_bytes)
{
	memset(b, 0, sizeof(*b));
	for (size_t i = 0; i < BATCH_MAX; i++) {
		memset(b->payload[i], 'p', sizeof(b->payload[i]));
		b->iov[i] = (struct iovec){.iov_base = b->payload[i], .iov_len = payload_bytes};
		b->msg[i].msg_hdr.msg_iov = &b->iov[i];
		b->msg[i].msg_hdr.msg_iovlen = 1;
	}
}

/* How many of n went out; a refusal (an ICMP answer to an earlier one, a full queue) is no end. */
static int batch_send(int fd, struct batch *b, unsigned n, uint64_t first)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);
	int sent;

	for (unsigned i = 0; i < n; i++) {
		uint64_t number = first + i;

		memcpy(b->payload[i], &number, sizeof(number));
		memcpy(b->payload[i] + sizeof(number), &now, sizeof(now));
	}
	sent = sendmmsg(fd, b->msg, n, 0);
	if (sent >= 0)
		return sent;
	return errno == ECONNREFUSED || errno == ENOBUFS || errno == EINTR ? 0 : -1;
}

static int send_paced(int fd, struct batch *b, uint64_t pps, uint64_t total, struct result *ret)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	while (ret->packets < total) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
		uint64_t due = (now - begin) * pps / NS_PER_S + 1; /* packet k leaves at begin + k / pps */
		uint64_t n = (due < total ? due : total) - ret->packets;
		uint64_t planned = begin + ret->packets * NS_PER_S / pps;
		int sent;

		if (n == 0) {
			sleep_until(planned > now + TICK_NS ? planned : now + TICK_NS);
			continue;
		}
		if (now - planned > ret->late_ns)
			ret->late_ns = now - planned;
		sent = batch_send(fd, b, n < BATCH_MAX ? (unsigned)n : BATCH_MAX, ret->packets);
		if (sent < 0)
			return -1;
		ret->packets += (uint64_t)sent;
	}
	ret->ns = clock_ns(CLOCK_MONOTONIC) - begin;
	return 0;
}

static int send_flat_out(int fd, struct batch *b, uint64_t seconds, struct result *ret)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	while (ret->ns < seconds * NS_PER_S) {
		int sent = batch_send(fd, b, BATCH_MAX, ret->packets);

		if (sent < 0)
			return -1;
		ret->packets += (uint64_t)sent;
		ret->ns = clock_ns(CLOCK_MONOTONIC) - begin;
	}
	return 0;
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *ret >= min && *ret <= max;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	uint64_t port, frame, pps, seconds;
	struct result result = {0};
	static struct batch batch;
	int fd, rc;

	if (argc != 6 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || !number(argv[2], 1, 65535, &port) ||
		!number(argv[3], FRAME_MIN, FRAME_MAX, &frame) || !number(argv[4], 0, 1000000, &pps) ||
		!number(argv[5], 1, 60, &seconds)) {
		fprintf(stderr, "usage: sender ADDRESS PORT FRAME PPS SECONDS\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)port);
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("sender: socket");
		return 1;
	}
	batch_init(&batch, frame - HEADER_BYTES);
	rc = pps ? send_paced(fd, &batch, pps, pps * seconds, &result) : send_flat_out(fd, &batch, seconds, &result);
	if (rc < 0) {
		perror("sender: sendmmsg");
		return 1;
	}
	close(fd);
	printf("%llu %.6f %llu\n", (unsigned long long)result.packets, (double)result.ns / (double)NS_PER_S,
		(unsigned long long)(result.late_ns / 1000));
	return 0;
}
