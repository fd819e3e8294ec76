#include "eye/link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <xcb/xcbext.h>

/* XInput 2, as in X11/extensions/XI2proto.h. Two requests do not need its library. */
enum { XI_SELECT_EVENTS = 46, XI_QUERY_VERSION = 47, XI_ALL_MASTER_DEVICES = 1, XI_RAW_MOTION = 17 };
static xcb_extension_t xinput = { "XInputExtension", 0 };

static volatile sig_atomic_t opening_fd = -1, opening_is_late;

/* The X server does not answer: end its connection, on which libxcb waits without a limit. */
static void on_open_alarm(UNUSED int signo)
{
	opening_is_late = 1;
	if (opening_fd >= 0)
		shutdown(opening_fd, SHUT_RDWR);
}

bool link_size_ok(unsigned width, unsigned height)
{
	return width && height && width <= INT16_MAX && height <= INT16_MAX && (uint64_t)width * height <= LINK_PIXELS_MAX;
}

/* --- the parts of the set-up */

static bool link_read_format(struct link *l, const xcb_screen_t *root)
{
	const xcb_setup_t *setup = xcb_get_setup(l->c);
	const xcb_visualtype_t *visual = NULL;
	for (xcb_depth_iterator_t d = xcb_screen_allowed_depths_iterator(root); d.rem; xcb_depth_next(&d))
		for (xcb_visualtype_iterator_t v = xcb_depth_visuals_iterator(d.data); v.rem; xcb_visualtype_next(&v))
			if (v.data->visual_id == root->root_visual)
				visual = v.data;
	if (!visual || (visual->_class != XCB_VISUAL_CLASS_TRUE_COLOR && visual->_class != XCB_VISUAL_CLASS_DIRECT_COLOR))
		return false;
	l->format = (struct eye_format){ .red = visual->red_mask, .green = visual->green_mask, .blue = visual->blue_mask,
					 .swapped = setup->image_byte_order == XCB_IMAGE_ORDER_MSB_FIRST };
	for (xcb_format_iterator_t f = xcb_setup_pixmap_formats_iterator(setup); f.rem; xcb_format_next(&f))
		if (f.data->depth == root->root_depth) {
			l->format.bits = f.data->bits_per_pixel;
			l->format.pad = f.data->scanline_pad;
		}
	return format_ok(&l->format);
}

static bool link_has(struct link *l, xcb_extension_t *id, uint8_t *ret_event)
{
	const xcb_query_extension_reply_t *r = xcb_get_extension_data(l->c, id);
	if (r && ret_event)
		*ret_event = r->first_event;
	return r && r->present;
}

/* Extensions answer only to a client that named a version. */
static bool link_find_extensions(struct link *l)
{
	if (!link_has(l, &xcb_damage_id, &l->damage_event) || !link_has(l, &xcb_xfixes_id, &l->cursor_event))
		return false;
	xcb_damage_query_version_reply_t *d = xcb_damage_query_version_reply(l->c, xcb_damage_query_version(l->c, 1, 1), NULL);
	xcb_xfixes_query_version_reply_t *f = xcb_xfixes_query_version_reply(l->c, xcb_xfixes_query_version(l->c, 4, 0), NULL);
	bool good = d && f && f->major_version >= 2;
	l->damage_event = (uint8_t)(l->damage_event + XCB_DAMAGE_NOTIFY);
	l->cursor_event = (uint8_t)(l->cursor_event + XCB_XFIXES_CURSOR_NOTIFY);
	free(d);
	free(f);
	return good;
}

static unsigned int input_request(struct link *l, uint8_t opcode, void *data, size_t len, bool is_void)
{
	struct iovec parts[4] = { [2] = { data, len } }; /* libxcb uses the two before */
	const xcb_protocol_request_t r = { 1, &xinput, opcode, is_void };
	return xcb_send_request(l->c, is_void ? 0 : XCB_REQUEST_CHECKED, parts + 2, &r);
}

/* Raw motion arrives also while a program has grabbed the pointer. Only motion is asked for, never keys. */
static void link_watch_pointer(struct link *l)
{
	const xcb_query_extension_reply_t *there = xcb_get_extension_data(l->c, &xinput);
	if (!there || !there->present)
		return;
	struct {
		uint8_t major, minor;
		uint16_t length, want_major, want_minor;
	} version = { .want_major = 2, .want_minor = 2 };
	xcb_generic_error_t *err = NULL;
	void *answer = xcb_wait_for_reply(l->c, input_request(l, XI_QUERY_VERSION, &version, sizeof version, false), &err);
	free(err);
	if (!answer)
		return;
	free(answer);
	struct {
		uint8_t major, minor;
		uint16_t length;
		uint32_t window;
		uint16_t masks, pad, device, words;
		uint32_t mask;
	} select = { .window = l->root, .masks = 1, .device = XI_ALL_MASTER_DEVICES, .words = 1, .mask = 1u << XI_RAW_MOTION };
	input_request(l, XI_SELECT_EVENTS, &select, sizeof select, true);
	l->input_opcode = there->major_opcode;
}

/* Memory passed by descriptor, which an X server of another account can map too. Its size is sealed: an X server that truncated it would end
 * this process by SIGBUS. */
static void link_share_memory(struct link *l)
{
	if (!link_has(l, &xcb_shm_id, NULL))
		return;
	xcb_shm_query_version_reply_t *v = xcb_shm_query_version_reply(l->c, xcb_shm_query_version(l->c), NULL);
	bool passes = v && (v->major_version > 1 || v->minor_version >= 2);
	free(v);
	if (!passes)
		return;
	_cleanup_(closep) int fd = memfd_create("lucid-rdp-picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, LINK_MEMORY) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return;
	void *memory = mmap(NULL, LINK_MEMORY, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return;
	l->segment = xcb_generate_id(l->c);
	xcb_generic_error_t *err = xcb_request_check(l->c, xcb_shm_attach_fd_checked(l->c, l->segment, TAKE_FD(fd), 0));
	if (err || xcb_connection_has_error(l->c)) {
		free(err);
		munmap(memory, LINK_MEMORY);
		return;
	}
	l->memory = memory;
}

/* Everything is selected before the size is read, so that no change is missed. */
static int link_watch(struct link *l, char *why, size_t size)
{
	const uint32_t of_root = XCB_EVENT_MASK_STRUCTURE_NOTIFY;
	xcb_change_window_attributes(l->c, l->root, XCB_CW_EVENT_MASK, &of_root);
	l->damage = xcb_generate_id(l->c);
	l->region = xcb_generate_id(l->c);
	xcb_damage_create(l->c, l->damage, l->root, XCB_DAMAGE_REPORT_LEVEL_NON_EMPTY);
	xcb_xfixes_create_region(l->c, l->region, 0, NULL);
	xcb_xfixes_select_cursor_input(l->c, l->root, XCB_XFIXES_CURSOR_NOTIFY_MASK_DISPLAY_CURSOR);
	link_watch_pointer(l);
	link_share_memory(l);
	xcb_get_geometry_reply_t *r = xcb_get_geometry_reply(l->c, xcb_get_geometry(l->c, l->root), NULL);
	if (!r) {
		snprintf(why, size, "the X server ended the connection during the set-up");
		return -EPROTO;
	}
	l->width = r->width;
	l->height = r->height;
	free(r);
	if (link_size_ok(l->width, l->height))
		return 0;
	snprintf(why, size, "the screen of %u×%u pixels is too large to be captured", l->width, l->height);
	return -EFBIG;
}

static int link_set_up(struct link *l, char *why, size_t size)
{
	int err = xcb_connection_has_error(l->c);
	if (err) {
		snprintf(why, size, "the X server refused the connection, or sent an answer that is not one of an X server");
		return err == XCB_CONN_CLOSED_PARSE_ERR ? -EPROTO : -EACCES;
	}
	xcb_screen_iterator_t i = xcb_setup_roots_iterator(xcb_get_setup(l->c));
	if (!i.rem || !link_read_format(l, i.data)) {
		snprintf(why, size, "the X server has a pixel format other than 16 or 32 bits with fixed colours");
		return -ENOTSUP;
	}
	l->root = i.data->root;
	l->depth = i.data->root_depth;
	if (!link_find_extensions(l)) {
		snprintf(why, size, "the X server lacks the extension DAMAGE or XFIXES");
		return xcb_connection_has_error(l->c) ? -EPROTO : -ENOTSUP;
	}
	return link_watch(l, why, size);
}

int link_open(struct link *l, int x_fd, const uint8_t cookie[LINK_COOKIE], char *why, size_t size)
{
	static char name[] = "MIT-MAGIC-COOKIE-1";
	char data[LINK_COOKIE];
	xcb_auth_info_t auth = { sizeof name - 1, name, sizeof data, data };
	struct sigaction was, ours = { .sa_handler = on_open_alarm };
	/* again and again, should a signal come between two waits */
	const struct itimerval limit = { { 0, 500000 }, { LINK_OPEN_SECONDS, 0 } }, none = { { 0, 0 }, { 0, 0 } };
	*l = (struct link){ 0 };
	memcpy(data, cookie, sizeof data);
	opening_fd = x_fd;
	opening_is_late = 0;
	sigaction(SIGALRM, &ours, &was);
	setitimer(ITIMER_REAL, &limit, NULL);
	l->c = xcb_connect_to_fd(x_fd, &auth);
	mem_wipe(data, sizeof data);
	int err = link_set_up(l, why, size);
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &was, NULL);
	opening_fd = -1;
	if (err && opening_is_late) {
		snprintf(why, size, "the X server did not answer within %d s; it is stopped or overloaded", LINK_OPEN_SECONDS);
		err = -ETIMEDOUT;
	}
	if (err)
		link_close(l);
	return err;
}

void link_close(struct link *l)
{
	if (l->memory)
		munmap(l->memory, LINK_MEMORY);
	if (l->c)
		xcb_disconnect(l->c); /* the X server frees what belongs to the connection */
	*l = (struct link){ 0 };
}
