#include "host/xrdp_config/ini.h"

#include "lucid/str.h"

/*
 * The login script of a desktop: sesman runs it as the person, once the X server answers. It does what a display manager and
 * Debian's /etc/X11/Xsession do: locale, profiles, ~/.xsessionrc, the scripts of Xsession.d (resources, input methods, agents), the
 * XDG variables, a session bus.
 *
 * The files of the host and of the person run in shells of their own, of which the exported variables and the umask are taken over.
 * So "exit", an error, "exec" and a file that does not end (30 s) cost what that file sets, and no more. What names this
 * desktop (DISPLAY, XDG_RUNTIME_DIR …) is set again after each of them.
 *
 * What the script finds about the start stands in $XDG_RUNTIME_DIR/start for the hook (start_report.h). The desktop's own output goes to
 * ~/.xsession-errors, as on Debian.
 */
static const char part_one[] =
	"self=$0\n"
	"n=${DISPLAY#*:}\n"
	"n=${n%%.*}\n"
	"dir=/run/xrdp/user/$(id -u)-$n\n"
	"mkdir -m 0700 \"$dir\" 2>/dev/null\n"
	"if [ -L \"$dir\" ] || ! [ -O \"$dir\" ]; then dir=$(mktemp -d); fi\n"
	/* a redirection that fails ends a shell: it is tried in another one first */
	"said=/dev/null\n"
	"if (echo began >\"$dir/start\" && : >\"$dir/said\") 2>/dev/null; then said=$dir/said; fi\n"
	"exec >>\"$said\" 2>&1\n"
	/* recording_hold.h: the session of a server that is recorded begins with its first picture */
	"hold=/etc/xrdp/recording-$n\n"
	"k=0\n"
	"while [ -e \"$hold\" ] && [ $k -lt 60 ]; do sleep 0.05; k=$((k + 1)); done\n"
	"if [ -e \"$hold\" ] && [ \"$(cat \"$hold\")\" = refuse ]; then\n"
	"\techo 'failed the sessions of this server must be recorded, and no recording began within 3 s' >\"$dir/start\"\n"
	"\texit 1\n"
	"fi\n"
	"export XDG_RUNTIME_DIR=\"$dir\" XDG_SESSION_TYPE=x11 XDG_SESSION_CLASS=user\n"
	"unset SESSION_MANAGER DBUS_SESSION_BUS_ADDRESS\n"
	"own=$(export -p | grep -E '^(export|declare -x) (DISPLAY|HOME|USER|LOGNAME|SHELL|XAUTHORITY|PULSE_SCRIPT|XDG_RUNTIME_DIR|XDG_SESSION_TYPE|"
	"XDG_SESSION_CLASS|XRDP_[A-Z0-9_]*)=')\n"
	"guarded() { # TEXT FILE: run TEXT on FILE in a shell of its own, and take over what it exports\n"
	"\t[ -r \"$2\" ] || return 0\n"
	"\t(: >\"$dir/env\") 2>/dev/null || return 0\n"
	"\ttimeout -k 2 30 /bin/sh -c 'trap \"echo umask \\$(umask) >&9; export -p >&9\" EXIT\n"
	"no_exec() { echo \"exec $* is not done in this file: it would end the desktop\" >&2; }\n"
	"alias exec=no_exec\n"
	"the_file=$2\n"
	"eval \"shift 2; $1\"\n"
	"' sh \"$1\" \"$2\" 9>\"$dir/env\" </dev/null || echo \"$2 ended with exit status $?\"\n"
	"\ttaken=$(cat \"$dir/env\")\n"
	"\trm -f \"$dir/env\"\n"
	"\tif (eval \"$taken\") >/dev/null 2>&1; then eval \"$taken\"; fi\n"
	/* what is made from here on must be usable by the person, the desktop's own output included */
	"\tumask u+rwx\n"
	"\teval \"$own\"\n"
	"\tunset SESSION_MANAGER DBUS_SESSION_BUS_ADDRESS\n"
	"\tcase :$PATH: in *:/usr/bin:*) ;; *) PATH=$PATH:/usr/local/bin:/usr/bin:/bin ;; esac\n"
	"}\n"
	"for file in /etc/default/locale /etc/locale.conf; do\n"
	"\t[ -n \"${LC_ALL:-$LANG}\" ] || guarded 'set -a; . \"$the_file\"' \"$file\"\n"
	"done\n"
	"for file in /etc/profile \"$HOME/.profile\" /etc/xprofile \"$HOME/.xprofile\" \"$HOME/.xsessionrc\"; do\n"
	"\tguarded '. \"$the_file\"' \"$file\"\n"
	"done\n"
	"[ -n \"${LC_ALL:-$LANG}\" ] || export LANG=C.UTF-8\n";

static const char part_two[] =
	"export STARTUP=\"/bin/sh $self run\"\n"
	"if [ -d /etc/X11/Xsession.d ]; then\n"
	"\tguarded 'OPTIONS=$(cat \"$the_file\" /etc/X11/Xsession.options.d/*.conf 2>/dev/null)\n"
	"has_option() { [ \"$(echo \"$OPTIONS\" | grep -Eo \"^(no-)?$1\\>\" | tail -n 1)\" = \"$1\" ]; }\n"
	"message() { echo \"$*\"; }\n"
	"message_nonl() { echo \"$*\"; }\n"
	"errormsg() { echo \"$*\"; exit 1; }\n"
	"internal_errormsg() { errormsg \"$*\"; }\n"
	"OPTIONFILE=$the_file SYSRESOURCES=/etc/X11/Xresources USRRESOURCES=$HOME/.Xresources SYSSESSIONDIR=/etc/X11/Xsession.d\n"
	"USERXSESSION=$HOME/.xsession USERXSESSIONRC=$HOME/.xsessionrc ALTUSERXSESSION=$HOME/.Xsession ERRFILE=$HOME/.xsession-errors\n"
	"for part in /etc/X11/Xsession.d/*; do\n"
	"\tcase ${part##*/} in\n"
	/* arguments, ~/.xsessionrc, the choice of a session, its bus and its start are this script's */
	"\t20x11-common_*|40x11-common_*|50x11-common_*|75dbus_*|95dbus_*|99x11-common_*|*[!A-Za-z0-9_-]*) continue ;;\n"
	"\tesac\n"
	"\tif [ -r \"$part\" ]; then . \"$part\"; fi\n"
	"done' /etc/X11/Xsession.options\n"
	"fi\n"
	"start=${STARTUP:-/bin/sh $self run}\n"
	"unset STARTUP\n"
	"bus=\n"
	"if command -v dbus-run-session >/dev/null; then bus='dbus-run-session --'; fi\n"
	"out=$HOME/.xsession-errors\n"
	"if (: >>\"$out\") 2>/dev/null && [ -f \"$out\" ]; then\n"
	"\tif [ \"$(wc -c <\"$out\")\" -gt 1000000 ]; then : >\"$out\"; fi\n"
	"else\n"
	"\tout=$said\n"
	"fi\n"
	"was=$(wc -c <\"$out\")\n"
	"began=$(date +%s)\n"
	"asked=\n"
	/* a shell without job control starts what is in the background with SIGINT ignored, and so would be Ctrl-C in terminals */
	"reset=\n"
	"if env --default-signal=INT,QUIT true 2>/dev/null; then reset='env --default-signal=INT,QUIT'; fi\n"
	"$reset $bus $start >>\"$out\" 2>&1 </dev/null &\n"
	"child=$!\n"
	"trap 'asked=1; kill -TERM $child' TERM HUP INT\n"
	"while :; do\n"
	"\twait $child\n"
	"\tstatus=$?\n"
	"\tkill -0 $child 2>/dev/null || break\n"
	"done\n"
	"seconds=$(($(date +%s) - began))\n"
	"if [ -z \"$asked\" ] && { [ $seconds -lt 3 ] || { [ $seconds -lt 10 ] && [ $status -ne 0 ]; }; }; then\n"
	"\t{\n"
	"\t\techo \"failed the desktop's command ended after $seconds s with exit status $status\"\n"
	"\t\t[ \"$out\" = \"$said\" ] || tail -n 10 \"$said\"\n"
	"\t\ttail -c +$((was + 1)) \"$out\" | tail -n 20\n"
	"\t} >\"$dir/start\"\n"
	"else\n"
	"\techo ended >\"$dir/start\"\n"
	"fi\n"
	"exit $status\n";

static void quoted(struct strbuf *b, const char *s)
{
	strbuf_putc(b, '\'');
	for (; *s; s++)
		if (*s == '\'')
			strbuf_puts(b, "'\\''");
		else
			strbuf_putc(b, *s);
	strbuf_putc(b, '\'');
}

char *ini_startwm(const char *name, const char *command, const char *xdg_desktop)
{
	struct strbuf b = { 0 };
	strbuf_puts(&b, "#!/bin/sh\n# made by lucid-rdp for one server; changes here are lost when it starts\n"
			"if [ \"$1\" = run ]; then exec /bin/sh -c ");
	quoted(&b, command);
	strbuf_puts(&b, "; fi\n");
	strbuf_puts(&b, part_one);
	strbuf_puts(&b, "[ -n \"$DESKTOP_SESSION\" ] || export DESKTOP_SESSION=");
	quoted(&b, name);
	strbuf_puts(&b, "\n[ -n \"$XDG_SESSION_DESKTOP\" ] || export XDG_SESSION_DESKTOP=");
	quoted(&b, name);
	if (*xdg_desktop) {
		strbuf_puts(&b, "\n[ -n \"$XDG_CURRENT_DESKTOP\" ] || export XDG_CURRENT_DESKTOP=");
		quoted(&b, xdg_desktop);
	}
	strbuf_putc(&b, '\n');
	strbuf_puts(&b, part_two);
	return strbuf_take(&b);
}
