#include "uploader/s3/s3_labels.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *const s3_label_names[S3_LABELS_N] = {"job", "user", "org", "space", "source"};

static const char *const meta_names[S3_LABELS_N] = {
	"x-amz-meta-job", "x-amz-meta-user", "x-amz-meta-org", "x-amz-meta-space", "x-amz-meta-source"};

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool tag_stays(const char *text, size_t i)
{
	if (text[i] == ' ')
		return i > 0 && text[i + 1];
	return is_alnum(text[i]) || strchr("+-._:/@", text[i]);
}

static bool meta_stays(const char *text, size_t i)
{
	return is_alnum(text[i]) || strchr("-._~", text[i]);
}

static void encode(const char *text, char mark, bool (*stays)(const char *text, size_t i), char *ret, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; text[i]; i++) {
		uint8_t byte = (uint8_t)text[i];
		bool plain = stays(text, i);

		if (n + (plain ? 1 : 3) >= size)
			break;
		ret[n++] = plain ? text[i] : mark;
		if (!plain) {
			ret[n++] = digits[byte >> 4];
			ret[n++] = digits[byte & 15];
		}
	}
	ret[n] = '\0';
}

void s3_label_tag(const char *text, char ret[S3_TAG_VALUE_MAX])
{
	encode(text, '=', tag_stays, ret, S3_TAG_VALUE_MAX);
}

void s3_label_meta(const char *text, char ret[S3_META_VALUE_MAX])
{
	encode(text, '%', meta_stays, ret, S3_META_VALUE_MAX);
}

const char *s3_label_file_name(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash ? slash + 1 : key;
}

const char *s3_label_content_type(const char *key)
{
	size_t n = strlen(key);

	return n > 5 && strcmp(key + n - 5, ".pcap") == 0 ? "application/vnd.tcpdump.pcap" : "application/x-pcapng";
}

void s3_labels_make(const struct driver_tags *tags, const char *key, struct s3_labels *ret)
{
	const char *const values[S3_LABELS_N] = {tags->job, tags->user, tags->org, tags->space, tags->source};

	for (size_t i = 0; i < S3_LABELS_N; i++) {
		s3_label_tag(values[i] ? values[i] : "", ret->tags[i]);
		s3_label_meta(values[i] ? values[i] : "", ret->meta[i]);
	}
	/* Keys are made of [A-Za-z0-9._-] (store_key): nothing to quote. */
	snprintf(
		ret->disposition, sizeof(ret->disposition), "attachment; filename=\"%.200s\"", s3_label_file_name(key));
	ret->content_type = s3_label_content_type(key);
}

size_t s3_labels_headers(const struct s3_labels *l, struct s3_pair ret[S3_LABEL_HEADERS_MAX])
{
	size_t n = 0;

	ret[n++] = (struct s3_pair){"content-type", l->content_type};
	ret[n++] = (struct s3_pair){"content-disposition", l->disposition};
	for (size_t i = 0; i < S3_LABELS_N; i++)
		if (l->meta[i][0])
			ret[n++] = (struct s3_pair){meta_names[i], l->meta[i]};
	return n;
}
