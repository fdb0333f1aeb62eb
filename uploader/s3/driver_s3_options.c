/* driver_s3_options.c - what the drivers of both signature versions take from their options in the same way. */
#include "uploader/s3/driver_s3.h"
#include "uploader/s3/s3_endpoint.h"

int driver_s3_client_options(const struct driver_s3_options *o, struct s3_client_options *ret, struct err *err)
{
	*ret = (struct s3_client_options){
		.endpoint = o->endpoint,
		.bucket = o->bucket,
		.region = o->region,
		.path_style = o->path_style,
		.ca_file = o->ca_file,
		.connect_timeout_ms = o->connect_timeout_ms,
		.idle_timeout_ms = o->idle_timeout_ms,
		.connections_max = o->connections_max,
	};
	return (ret->credentials = s3_credentials_new(&o->credentials, err)) ? 0 : -1;
}
