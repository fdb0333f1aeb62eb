#include "schema/config_metrics.h"

#include <arpa/inet.h>

bool config_is_loopback(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, address, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

int config_metrics_check(const struct config_metrics *m, struct err *err)
{
	struct in6_addr any;

	if (inet_pton(AF_INET, m->address, &any) != 1 && inet_pton(AF_INET6, m->address, &any) != 1)
		return err_set(err, ERR_INPUT, "metrics.address: \"%s\" is not a numeric address", m->address);
	if (!*m->certificate != !*m->private_key)
		return err_set(err, ERR_INPUT, "metrics.certificate and metrics.private_key must be given together");
	if (*m->client_ca && !*m->certificate)
		return err_set(err, ERR_INPUT,
			"metrics.client_ca: is of no use without metrics.certificate and metrics.private_key");
	if (m->port > 0 && !*m->certificate && !config_is_loopback(m->address))
		return err_set(err, ERR_INPUT,
			"metrics.address: without metrics.certificate only a loopback address, not \"%s\"", m->address);
	return 0;
}
