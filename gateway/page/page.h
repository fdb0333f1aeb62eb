/* page.h - the status page: one document with its style and its script inside, and the policy that holds a browser to these two and to this gateway.  Fixed after page_new. */
#ifndef PCAPLINE_GATEWAY_PAGE_PAGE_H
#define PCAPLINE_GATEWAY_PAGE_PAGE_H

#include "common/err.h"

struct page;

struct page *page_new(struct err *err);
const char *page_document(const struct page *p);
const char *page_policy(const struct page *p); /* for the header Content-Security-Policy */
void page_free(struct page *p);                /* accepts NULL */

#endif
