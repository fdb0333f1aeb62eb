/* metrics_page.h - everything that the gateway tells monitoring, as one page. */
#ifndef PCAPLINE_GATEWAY_METRICS_METRICS_PAGE_H
#define PCAPLINE_GATEWAY_METRICS_METRICS_PAGE_H

#include "common/err.h"
#include "common/metrics.h"

struct gateway;

/* metrics_page_open: the listener, when the configuration wants one; gw->server is there.  metrics_page_close: none is fine. */
int metrics_page_open(struct gateway *gw, struct err *err);
void metrics_page_close(struct gateway *gw);

#endif
