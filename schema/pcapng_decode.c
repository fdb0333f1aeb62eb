/* pcapng_decode.c - bodies and options of pcapng blocks: everything that stands once per interface or once every few seconds. */
#include "schema/pcapng_decode.h"

#include <inttypes.h>

#define NS_PER_S        UINT64_C(1000000000)
#define TSRESOL_DEFAULT 6  /* 10^-6 when the option is absent */
#define POWER_10_MAX    19 /* 10^19 is the largest that 64 bits hold */
#define POWER_2_MAX     63
#define BIT(n)          (UINT32_C(1) << (n))

/* ---- text ---- */

size_t pcapng_text_cut(const char *s, size_t n)
{
	if (n <= PCAPNG_TEXT_MAX)
		return n;
	n = PCAPNG_TEXT_MAX;
	for (int back = 0; back < 3 && ((uint8_t)s[n] & 0xC0) == 0x80; back++)
		n--;
	return n;
}

/* Length of the UTF-8 character at p, 0 when there is none that may be shown: C0 and C1 controls but tab and newline are refused. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: below it the form is overlong */
	uint32_t c = p[0];
	size_t n;

	if (c < 0x80)
		return (c >= 0x20 && c != 0x7F) || c == '\t' || c == '\n';
	if (c < 0xC0 || c > 0xF7)
		return 0;
	n = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
	if (left < n)
		return 0;
	c &= 0x7Fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3F);
	}
	if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) || (c >= 0x80 && c <= 0x9F))
		return 0;
	return n;
}

/* A text option ends at its length or at a NUL.  What is no clean UTF-8 becomes '?', because it goes on into JSON and to terminals. */
static const char *text_decode(const uint8_t *p, size_t n, char ret[PCAPNG_TEXT_MAX + 1])
{
	size_t len;

	n = pcapng_text_cut((const char *)p, strnlen((const char *)p, n));
	for (size_t i = 0; i < n; i += len) {
		if ((len = utf8_len(p + i, n - i)) > 0) {
			memcpy(ret + i, p + i, len);
		} else {
			ret[i] = '?';
			len = 1;
		}
	}
	ret[n] = '\0';
	return ret;
}

/* ---- options ---- */

struct options {
	const uint8_t *p;
	size_t left;
	bool swapped;
	uint32_t once; /* bit per code that the draft allows once */
	uint32_t seen;
};

struct option {
	uint16_t code, len;
	const uint8_t *value;
};

/* 1: *ret is the next option; 0: no more of them; -1: err. */
static int options_next(struct options *o, struct option *ret, struct err *err)
{
	size_t padded;

	if (!o->left)
		return 0;
	if (o->left < 4)
		return err_set(err, ERR_INPUT, "%zu stray bytes after the options", o->left);
	ret->code = pcapng_u16(o->p, o->swapped);
	ret->len = pcapng_u16(o->p + 2, o->swapped);
	ret->value = o->p + 4;
	if (ret->code == PCAPNG_OPT_END) {
		if (ret->len)
			return err_set(err, ERR_INPUT, "end of options has length %u instead of 0", ret->len);
		o->left = 0;
		return 0;
	}
	padded = ((size_t)ret->len + 3) & ~(size_t)3;
	if (padded > o->left - 4)
		return err_set(err, ERR_INPUT, "option %u: length %u passes the end of the block, %zu bytes are left",
			ret->code, ret->len, o->left - 4);
	if (ret->code < 32 && (o->once & BIT(ret->code))) {
		if (o->seen & BIT(ret->code))
			return err_set(err, ERR_INPUT, "option %u stands twice", ret->code);
		o->seen |= BIT(ret->code);
	}
	o->p += 4 + padded;
	o->left -= 4 + padded;
	return 1;
}

static int option_has_length(const struct option *o, const char *name, uint16_t len, struct err *err)
{
	if (o->len == len)
		return 0;
	return err_set(err, ERR_INPUT, "option %s: length %u is not %u", name, o->len, len);
}

int pcapng_decode_packet_options(const uint8_t *p, size_t n, bool swapped, uint32_t *ret_flags, struct err *err)
{
	struct options os = {.p = p,
		.left = n,
		.swapped = swapped,
		.once = BIT(PCAPNG_OPT_EPB_FLAGS) | BIT(PCAPNG_OPT_EPB_DROPCOUNT) | BIT(PCAPNG_OPT_EPB_PACKETID) |
			BIT(PCAPNG_OPT_EPB_QUEUE)};
	struct option o;
	uint32_t flags = 0;
	int more;

	while ((more = options_next(&os, &o, err)) > 0) {
		if (o.code != PCAPNG_OPT_EPB_FLAGS)
			continue;
		if (option_has_length(&o, "epb_flags", 4, err) < 0)
			return -1;
		flags = pcapng_u32(o.value, swapped);
	}
	if (more == 0)
		*ret_flags = flags;
	return more;
}

/* ---- time ---- */

static uint64_t power_10(unsigned exponent)
{
	uint64_t v = 1;

	while (exponent--)
		v *= 10;
	return v;
}

static int scale_set(struct pcapng_scale *s, uint8_t tsresol, uint64_t *ret_units_per_s, struct err *err)
{
	const unsigned exponent = tsresol & 0x7F;

	if (tsresol & 0x80) {
		if (exponent > POWER_2_MAX)
			return err_set(err, ERR_INPUT, "option if_tsresol: 2^-%u s is finer than 2^-%u", exponent,
				POWER_2_MAX);
		s->kind = PCAPNG_SCALE_SHIFT;
		s->shift = exponent;
		*ret_units_per_s = UINT64_C(1) << exponent;
		return 0;
	}
	if (exponent > POWER_10_MAX)
		return err_set(
			err, ERR_INPUT, "option if_tsresol: 10^-%u s is finer than 10^-%u", exponent, POWER_10_MAX);
	s->kind = exponent > 9 ? PCAPNG_SCALE_DIVIDE : PCAPNG_SCALE_MULTIPLY;
	s->factor = power_10(exponent > 9 ? exponent - 9 : 9 - exponent);
	*ret_units_per_s = power_10(exponent);
	return 0;
}

static int scale_set_offset(struct pcapng_scale *s, int64_t offset_s, struct err *err)
{
	if (__builtin_mul_overflow(offset_s, (int64_t)NS_PER_S, &s->offset_ns))
		return err_set(
			err, ERR_INPUT, "option if_tsoffset: %" PRId64 " s does not fit 64-bit nanoseconds", offset_s);
	return 0;
}

bool pcapng_scale_ns(const struct pcapng_scale *s, uint64_t ticks, uint64_t *ret_ns)
{
	uint64_t ns = ticks, whole, part;

	switch (s->kind) {
	case PCAPNG_SCALE_NONE:
		break;
	case PCAPNG_SCALE_MULTIPLY:
		if (__builtin_mul_overflow(ticks, s->factor, &ns))
			return false;
		break;
	case PCAPNG_SCALE_DIVIDE:
		ns = ticks / s->factor;
		break;
	case PCAPNG_SCALE_SHIFT:
		whole = ticks >> s->shift;
		part = ticks & ((UINT64_C(1) << s->shift) - 1);
		if (__builtin_mul_overflow(whole, NS_PER_S, &ns))
			return false;
		part = (uint64_t)((unsigned __int128)part * NS_PER_S >> s->shift); /* under 10^9 */
		if (__builtin_add_overflow(ns, part, &ns))
			return false;
		break;
	}
	return !__builtin_add_overflow(ns, s->offset_ns, ret_ns);
}

/* ---- bodies ---- */

static int too_short(const char *what, size_t n, size_t least, struct err *err)
{
	return err_set(err, ERR_INPUT, "%s: length %zu is under %zu", what, n + 12, least + 12);
}

int pcapng_decode_section(const uint8_t *body, size_t n, bool swapped, struct pcapng_texts *t,
	struct pcapng_section *ret, struct err *err)
{
	struct options os = {.swapped = swapped,
		.once = BIT(PCAPNG_OPT_SHB_HARDWARE) | BIT(PCAPNG_OPT_SHB_OS) | BIT(PCAPNG_OPT_SHB_USERAPPL)};
	struct option o;
	uint16_t major, minor;
	int more;

	if (n < 16)
		return too_short("section header", n, 16, err);
	major = pcapng_u16(body + 4, swapped);
	minor = pcapng_u16(body + 6, swapped);
	if (major != 1 ||
		(minor != 0 && minor != 2)) /* 1.2 was written by some and differs in nothing (draft, same section) */
		return err_set(err, ERR_INPUT, "section header: version %u.%u is neither 1.0 nor 1.2", major, minor);
	*ret = (struct pcapng_section){0};
	os.p = body + 16; /* past the section's length, which says nothing that the blocks do not say */
	os.left = n - 16;
	while ((more = options_next(&os, &o, err)) > 0) {
		if (o.code == PCAPNG_OPT_COMMENT && !ret->comment)
			ret->comment = text_decode(o.value, o.len, t->text[0]);
		else if (o.code == PCAPNG_OPT_SHB_HARDWARE)
			ret->hardware = text_decode(o.value, o.len, t->text[1]);
		else if (o.code == PCAPNG_OPT_SHB_OS)
			ret->os = text_decode(o.value, o.len, t->text[2]);
		else if (o.code == PCAPNG_OPT_SHB_USERAPPL)
			ret->application = text_decode(o.value, o.len, t->text[3]);
	}
	return more;
}

static int interface_option(const struct option *o, bool swapped, struct pcapng_texts *t, struct pcapng_interface *ret,
	struct pcapng_scale *scale, struct err *err)
{
	switch (o->code) {
	case PCAPNG_OPT_COMMENT:
		if (!ret->comment)
			ret->comment = text_decode(o->value, o->len, t->text[0]);
		return 0;
	case PCAPNG_OPT_IF_NAME:
		ret->name = text_decode(o->value, o->len, t->text[1]);
		return 0;
	case PCAPNG_OPT_IF_DESCRIPTION:
		ret->description = text_decode(o->value, o->len, t->text[2]);
		return 0;
	case PCAPNG_OPT_IF_FILTER:
		if (!o->len)
			return err_set(err, ERR_INPUT, "option if_filter: length 0 leaves no room for its kind");
		if (o->value[0] == 0) /* a libpcap expression; byte code is of no use to us */
			ret->filter = text_decode(o->value + 1, (size_t)o->len - 1, t->text[3]);
		return 0;
	case PCAPNG_OPT_IF_OS:
		ret->os = text_decode(o->value, o->len, t->text[4]);
		return 0;
	case PCAPNG_OPT_IF_HARDWARE:
		ret->hardware = text_decode(o->value, o->len, t->text[5]);
		return 0;
	case PCAPNG_OPT_IF_SPEED:
		if (option_has_length(o, "if_speed", 8, err) < 0)
			return -1;
		ret->speed_bps = pcapng_u64(o->value, swapped);
		return 0;
	case PCAPNG_OPT_IF_TSRESOL:
		if (option_has_length(o, "if_tsresol", 1, err) < 0)
			return -1;
		return scale_set(scale, o->value[0], &ret->units_per_s, err);
	case PCAPNG_OPT_IF_TSOFFSET:
		if (option_has_length(o, "if_tsoffset", 8, err) < 0)
			return -1;
		ret->offset_s = (int64_t)pcapng_u64(o->value, swapped);
		return scale_set_offset(scale, ret->offset_s, err);
	default:
		return 0;
	}
}

int pcapng_decode_interface(const uint8_t *body, size_t n, bool swapped, struct pcapng_texts *t,
	struct pcapng_interface *ret, struct pcapng_scale *ret_scale, struct err *err)
{
	struct options os = {.swapped = swapped,
		.once = BIT(PCAPNG_OPT_IF_NAME) | BIT(PCAPNG_OPT_IF_DESCRIPTION) | BIT(PCAPNG_OPT_IF_MACADDR) |
			BIT(PCAPNG_OPT_IF_EUIADDR) | BIT(PCAPNG_OPT_IF_SPEED) | BIT(PCAPNG_OPT_IF_TSRESOL) |
			BIT(PCAPNG_OPT_IF_TZONE) | BIT(PCAPNG_OPT_IF_FILTER) | BIT(PCAPNG_OPT_IF_OS) |
			BIT(PCAPNG_OPT_IF_FCSLEN) | BIT(PCAPNG_OPT_IF_TSOFFSET) | BIT(PCAPNG_OPT_IF_HARDWARE)};
	struct pcapng_scale scale = {0};
	struct option o;
	int more;

	if (n < 8)
		return too_short("interface", n, 8, err);
	*ret = (struct pcapng_interface){
		.link_type = pcapng_u16(body, swapped), .snaplen = pcapng_u32(body + 4, swapped)};
	if (scale_set(&scale, TSRESOL_DEFAULT, &ret->units_per_s, err) < 0)
		return -1;
	os.p = body + 8;
	os.left = n - 8;
	while ((more = options_next(&os, &o, err)) > 0)
		if (interface_option(&o, swapped, t, ret, &scale, err) < 0)
			return -1;
	if (more < 0)
		return -1;
	if (scale.kind == PCAPNG_SCALE_MULTIPLY && scale.factor == 1 && scale.offset_ns == 0)
		scale.kind = PCAPNG_SCALE_NONE;
	*ret_scale = scale;
	return 0;
}

struct stats_option {
	const char *name;
	unsigned have;
	bool is_time;
	size_t at; /* offset of the uint64_t in struct pcapng_stats */
};

static const struct stats_option stats_options[] = {
	[PCAPNG_OPT_ISB_STARTTIME] = {"isb_starttime", PCAPNG_STATS_START, true,
		offsetof(struct pcapng_stats, start_ns)},
	[PCAPNG_OPT_ISB_ENDTIME] = {"isb_endtime", PCAPNG_STATS_END, true, offsetof(struct pcapng_stats, end_ns)},
	[PCAPNG_OPT_ISB_IFRECV] = {"isb_ifrecv", PCAPNG_STATS_RECEIVED, false, offsetof(struct pcapng_stats, received)},
	[PCAPNG_OPT_ISB_IFDROP] = {"isb_ifdrop", PCAPNG_STATS_IFDROP, false,
		offsetof(struct pcapng_stats, dropped_interface)},
	[PCAPNG_OPT_ISB_FILTERACCEPT] = {"isb_filteraccept", PCAPNG_STATS_ACCEPTED, false,
		offsetof(struct pcapng_stats, accepted)},
	[PCAPNG_OPT_ISB_OSDROP] = {"isb_osdrop", PCAPNG_STATS_OSDROP, false, offsetof(struct pcapng_stats, dropped_os)},
	[PCAPNG_OPT_ISB_USRDELIV] = {"isb_usrdeliv", PCAPNG_STATS_DELIVERED, false,
		offsetof(struct pcapng_stats, delivered)},
};

static int stats_option(const struct option *o, bool swapped, const struct pcapng_scale *scale,
	struct pcapng_stats *ret, struct err *err)
{
	const struct stats_option *known = &stats_options[o->code];
	uint64_t v;

	if (option_has_length(o, known->name, 8, err) < 0)
		return -1;
	if (!known->is_time)
		v = pcapng_u64(o->value, swapped);
	else if (!pcapng_scale_ns(scale, pcapng_ticks(o->value, swapped), &v))
		return err_set(err, ERR_INPUT, "option %s does not fit 64-bit nanoseconds", known->name);
	memcpy((uint8_t *)ret + known->at, &v, sizeof(v));
	ret->have |= known->have;
	return 0;
}

int pcapng_decode_stats(const uint8_t *body, size_t n, bool swapped, const struct pcapng_scale *scales,
	size_t interfaces_n, struct pcapng_texts *t, struct pcapng_stats *ret, struct err *err)
{
	struct options os = {.swapped = swapped,
		.once = BIT(PCAPNG_OPT_ISB_STARTTIME) | BIT(PCAPNG_OPT_ISB_ENDTIME) | BIT(PCAPNG_OPT_ISB_IFRECV) |
			BIT(PCAPNG_OPT_ISB_IFDROP) | BIT(PCAPNG_OPT_ISB_FILTERACCEPT) | BIT(PCAPNG_OPT_ISB_OSDROP) |
			BIT(PCAPNG_OPT_ISB_USRDELIV)};
	struct option o;
	int more;

	if (n < 12)
		return too_short("interface statistics", n, 12, err);
	*ret = (struct pcapng_stats){.interface_id = pcapng_u32(body, swapped)};
	if (ret->interface_id >= interfaces_n)
		return err_set(err, ERR_INPUT, "statistics of interface %u, the section described %zu so far",
			ret->interface_id, interfaces_n);
	if (!pcapng_scale_ns(&scales[ret->interface_id], pcapng_ticks(body + 4, swapped), &ret->ts_ns))
		return err_set(err, ERR_INPUT, "time of statistics does not fit 64-bit nanoseconds");
	os.p = body + 12;
	os.left = n - 12;
	while ((more = options_next(&os, &o, err)) > 0) {
		if (o.code == PCAPNG_OPT_COMMENT) {
			if (!ret->comment)
				ret->comment = text_decode(o.value, o.len, t->text[0]);
		} else if (o.code <= PCAPNG_OPT_ISB_USRDELIV) {
			if (stats_option(&o, swapped, &scales[ret->interface_id], ret, err) < 0)
				return -1;
		}
	}
	return more;
}
