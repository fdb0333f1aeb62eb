/* talk.c - see talk.h. */
#include "cli/talk.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80u
#define WIDTH_LEAST   20u

static pthread_mutex_t talk_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned talk_shown; /* characters of the live line on the screen; guarded by talk_lock */

bool talk_is_live(void)
{
	return isatty(STDERR_FILENO) == 1;
}

unsigned talk_width(void)
{
	struct winsize size;
	unsigned width = WIDTH_DEFAULT;

	if (!talk_is_live())
		return 0;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= WIDTH_LEAST)
		width = size.ws_col;
	/* A full last column makes some terminals wrap. */
	return width - 1 < TALK_LINE_MAX ? width - 1 : TALK_LINE_MAX - 1;
}

static void clear_locked(void)
{
	if (talk_shown)
		fprintf(stderr, "\r%*s\r", (int)talk_shown, "");
	talk_shown = 0;
}

void talk_say(const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&talk_lock);
	clear_locked();
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fflush(stderr);
	pthread_mutex_unlock(&talk_lock);
}

void talk_line(const char *text)
{
	unsigned width = talk_width(), n;

	if (!width)
		return;
	n = (unsigned)strnlen(text, width);
	pthread_mutex_lock(&talk_lock);
	fprintf(stderr, "\r%.*s%*s", (int)n, text, talk_shown > n ? (int)(talk_shown - n) : 0, "");
	fflush(stderr);
	talk_shown = n;
	pthread_mutex_unlock(&talk_lock);
}

void talk_clear(void)
{
	pthread_mutex_lock(&talk_lock);
	clear_locked();
	fflush(stderr);
	pthread_mutex_unlock(&talk_lock);
}
