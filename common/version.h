/* version.h - what every program answers to `version`. */
#ifndef PCAPLINE_COMMON_VERSION_H
#define PCAPLINE_COMMON_VERSION_H

#define PCAPLINE_VERSION   "0.1.0"
#define PCAPLINE_API_LEVEL 1

#endif
