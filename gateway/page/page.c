#include "gateway/page/page.h"

#include "common/buf.h"
#include "common/digest.h"
#include "gateway/page/page_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES_MAX   (512u * 1024)
#define HASH_TEXT_MAX    (DIGEST_SHA256_BYTES * 4 / 3 + 5)
#define POLICY_BYTES_MAX 512

/* Where style and script go in the document. */
#define STYLE_HERE  "@STYLE@"
#define SCRIPT_HERE "@SCRIPT@"

struct page {
	struct buf document;
	char policy[POLICY_BYTES_MAX];
};

static void hash_text(const char *text, const char *end, char ret[HASH_TEXT_MAX])
{
	uint8_t sum[DIGEST_SHA256_BYTES];

	digest_sha256(text, (size_t)(end - text), sum);
	digest_base64(sum, sizeof(sum), ret);
}

/* Copies up to mark, then what stands for it; *at goes behind the mark. */
static int add_until(
	struct buf *b, const char **at, const char *mark, const char *text, const char *end, struct err *err)
{
	const char *found = strstr(*at, mark);

	if (!found)
		return err_set(err, ERR_INTERNAL, "the status page has no %s", mark);
	if (buf_add(b, *at, (size_t)(found - *at), err) < 0 || buf_add(b, text, (size_t)(end - text), err) < 0)
		return -1;
	*at = found + strlen(mark);
	return 0;
}

static int build(struct page *p, struct err *err)
{
	const char *at = page_html;

	if (add_until(&p->document, &at, STYLE_HERE, page_style, page_style_end, err) < 0 ||
		add_until(&p->document, &at, SCRIPT_HERE, page_script, page_script_end, err) < 0 ||
		buf_add(&p->document, at, (size_t)(page_html_end - at), err) < 0)
		return -1;
	return buf_str(&p->document) ? 0 : err_nomem(err);
}

/* Nothing is loaded but this very style and script, nothing asked but this gateway, nothing framed; text never becomes markup (trusted types). */
static void set_policy(struct page *p)
{
	char style[HASH_TEXT_MAX], script[HASH_TEXT_MAX];

	hash_text(page_style, page_style_end, style);
	hash_text(page_script, page_script_end, script);
	snprintf(p->policy, sizeof(p->policy),
		"default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; connect-src 'self'; img-src data:; "
		"base-uri 'none'; "
		"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		script, style);
}

struct page *page_new(struct err *err)
{
	struct page *p = calloc(1, sizeof(*p));

	if (!p) {
		err_nomem(err);
		return NULL;
	}
	buf_init(&p->document, PAGE_BYTES_MAX);
	set_policy(p);
	if (build(p, err) == 0)
		return p;
	page_free(p);
	return NULL;
}

const char *page_document(const struct page *p)
{
	return (const char *)p->document.data;
}

const char *page_policy(const struct page *p)
{
	return p->policy;
}

void page_free(struct page *p)
{
	if (!p)
		return;
	buf_done(&p->document);
	free(p);
}
