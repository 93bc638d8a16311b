/* What tests/readers runs to see that mainstay.h answers as the reader in Rust does. Not an example: see the header. */

#define _GNU_SOURCE
#include "mainstay.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

static mainstay_board board;

static void on_sigbus(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    if (info->si_code == BUS_ADRERR && mainstay_guard(&board, info->si_addr)) return;
    _exit(99);
}

static void open_board(const char *directory, const char *mode) {
    bool map = strcmp(mode, "map") == 0;
    if (map) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_sigaction = on_sigbus;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        if (sigaction(SIGBUS, &action, NULL) != 0) _exit(98);
    }
    mainstay_open(&board, directory, map ? MAINSTAY_MAP : MAINSTAY_COPY);
}

/* --- answer: questions on the standard input, answers on the standard output --- */

enum { HANDLES = 1024, LINE = 4096 };

static struct {
    char name[256];
    mainstay_flag flag;
} handles[HANDLES];
static size_t handle_count;

static mainstay_flag *handle(const char *name) {
    for (size_t at = 0; at < handle_count; at++)
        if (strcmp(handles[at].name, name) == 0) return &handles[at].flag;
    if (handle_count == HANDLES || strlen(name) >= sizeof handles[0].name) exit(97);
    strcpy(handles[handle_count].name, name);
    mainstay_find(&handles[handle_count].flag, &board, name);
    return &handles[handle_count++].flag;
}

static const char *const sources[] = {"proven", "stale", "unknown", "lost"};

static void answer(mainstay_flag *flag, const char *ask, const char *id, bool fallback) {
    mainstay_reading reading;
    char text[MAINSTAY_NAME_MAX + 1];
    if (strcmp(ask, "on") == 0) {
        bool on = *id == 0 ? mainstay_is_on(flag, fallback) : mainstay_is_on_for(flag, id, fallback);
        puts(on ? "on" : "off");
    } else if (strcmp(ask, "int") == 0) {
        int64_t one = mainstay_int(flag, 1), two = mainstay_int(flag, 2);
        if (one == two)
            printf("%" PRId64 "\n", one);
        else
            puts("none");
    } else if (strcmp(ask, "text") == 0) {
        int length = mainstay_text(flag, text);
        if (length < 0)
            puts("none");
        else
            printf("=%.*s\n", length, text);
    } else if (strcmp(ask, "stage") == 0) {
        uint32_t stage = mainstay_stage(flag, UINT32_MAX);
        if (stage == UINT32_MAX) {
            puts("none");
            return;
        }
        mainstay_read(flag, &reading);
        printf("%" PRIu32 " =%.*s\n", stage, (int)reading.length, reading.text);
    } else if (strcmp(ask, "source") == 0) {
        puts(sources[mainstay_read(flag, &reading)]);
    } else if (strcmp(ask, "share") == 0) {
        if (mainstay_read(flag, &reading) > MAINSTAY_STALE)
            puts("none");
        else
            printf("%" PRIu32 "%s\n", reading.share, reading.disabled ? " disabled" : "");
    } else {
        exit(96);
    }
}

static int answers(void) {
    static char line[LINE];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *parts[4] = {line, NULL, NULL, NULL};
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "!") == 0) {
            puts("!");
            fflush(stdout);
            continue;
        }
        for (int at = 1; at < 4; at++) {
            parts[at] = strchr(parts[at - 1], '\t');
            if (parts[at] == NULL) return 95;
            *parts[at]++ = 0;
        }
        if (strcmp(parts[1], "position") == 0)
            printf("%" PRIu32 "\n", mainstay_position(parts[0], parts[2], strlen(parts[2])));
        else
            answer(handle(parts[0]), parts[1], parts[2], strcmp(parts[3], "on") == 0);
    }
    return 0;
}

/* --- agree: a digest of many decisions --- */

static int agree(uint64_t cases) {
    uint64_t digest = 0;
    for (uint64_t n = 0; n < cases; n++) {
        char salt[128], id[128];
        uint64_t r = mainstay_mix_((n + 1) * MAINSTAY_GOLDEN_), s = mainstay_mix_(r);
        int salt_length = snprintf(salt, sizeof salt, "flag-%.*s%" PRIu64, (int)(r >> 8 & 31),
                                   "abcdefghijklmnopqrstuvwxyz012345", r & 255);
        int id_length = snprintf(id, sizeof id, "%.*s%" PRIx64, (int)(r >> 16 & 31), "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", s);
        if (salt_length < 0 || id_length < 0) return 94;
        uint32_t at = mainstay_position(salt, id, (size_t)id_length), share = (uint32_t)((r >> 32) % 100001);
        digest = mainstay_mix_(digest ^ ((uint64_t)at << 1 | (at < share)));
    }
    printf("%016" PRIx64 "\n", digest);
    return 0;
}

/* --- torture: reads for ever; a line on the standard input asks how it goes --- */

static _Noreturn void wrong(const char *what, int flag, const char *value) {
    fprintf(stderr, "flag %d: %s: %s\n", flag, what, value);
    exit(93);
}

/* Every number is `version * 65536 + flag`, every text `flag:version`, every share `version * 100 % 90000 + flag + 1`. */
static int torture(int flags) {
    static mainstay_flag numbers[64], texts[64], shares[64];
    static int64_t newest[64][2];
    uint64_t reads = 0, stale = 0;
    struct pollfd input = {0, POLLIN, 0};
    if (flags > 64) return 92;
    for (int flag = 0; flag < flags; flag++) {
        char name[64];
        snprintf(name, sizeof name, "number-%d", flag);
        mainstay_find(&numbers[flag], &board, name);
        snprintf(name, sizeof name, "text-%d", flag);
        mainstay_find(&texts[flag], &board, name);
        snprintf(name, sizeof name, "share-%d", flag);
        mainstay_find(&shares[flag], &board, name);
    }
    for (;;) {
        int proven = 0;
        for (int flag = 0; flag < flags; flag++) {
            mainstay_flag *all[3] = {&numbers[flag], &texts[flag], &shares[flag]};
            for (int kind = 0; kind < 3; kind++) {
                mainstay_reading reading;
                int64_t version = 0;
                int of = -1;
                char shown[200];
                enum mainstay_source source = mainstay_read(all[kind], &reading);
                reads++;
                stale += source == MAINSTAY_STALE;
                proven += source == MAINSTAY_PROVEN;
                if (source == MAINSTAY_UNKNOWN) wrong("unknown", flag, "?");
                if (source == MAINSTAY_LOST) {
                    if (all[kind]->word != 0) wrong("forgotten", flag, "?");
                    continue;
                }
                if (kind == 0) {
                    snprintf(shown, sizeof shown, "%" PRId64, reading.number);
                    version = reading.number / 65536;
                    of = (int)(reading.number % 65536);
                } else if (kind == 1) {
                    snprintf(shown, sizeof shown, "%s", reading.text);
                    if (sscanf(reading.text, "%d:%" SCNd64, &of, &version) != 2) wrong("never set", flag, shown);
                } else {
                    snprintf(shown, sizeof shown, "%" PRIu32, reading.share);
                    of = (int)((reading.share - 1) % 100);
                }
                if (of != flag || reading.disabled) wrong("never set", flag, shown);
                if (kind < 2 && version < newest[flag][kind]) wrong("went back", flag, shown);
                if (kind < 2) newest[flag][kind] = version;
            }
        }
        if (poll(&input, 1, 0) > 0) {
            char line[16];
            if (fgets(line, sizeof line, stdin) == NULL) return 0;
            printf("%d %" PRIu64 " %" PRIu64, proven, reads, stale);
            for (int flag = 0; flag < flags; flag++) printf(" %" PRId64, newest[flag][0]);
            puts("");
            fflush(stdout);
        }
    }
}

/* --- closed: reads on after every descriptor was closed and its number became another file's --- */

static int closed(const char *name) {
    mainstay_reading reading;
    mainstay_flag *flag = handle(name);
    int others[8];
    if (mainstay_read(flag, &reading) != MAINSTAY_PROVEN) return 87;
    for (int fd = 3; fd < 64; fd++) close(fd);
    for (int at = 0; at < 8; at++) others[at] = open("/dev/null", O_WRONLY);
    printf("%s ", sources[mainstay_read(flag, &reading)]);
    puts(sources[mainstay_read(flag, &reading)]);
    for (int at = 0; at < 8; at++)
        if (write(others[at], "still open", 10) != 10) return 86;
    return 0;
}

/* --- seen: waits for the second value of a flag, as a service would --- */

static int seen(const char *name) {
    uint64_t generation = 0;
    if (!mainstay_generation(&board, &generation)) return 89;
    mainstay_flag *flag = handle(name);
    bool first = mainstay_is_on(flag, false);
    puts(first ? "on" : "off");
    fflush(stdout);
    do {
        if (!mainstay_wait(&board, generation, 60000, &generation)) return 88;
    } while (mainstay_is_on(flag, first) == first);
    mainstay_report(&board, true);
    mainstay_report(&board, false);
    puts(first ? "off" : "on");
    fflush(stdout);
    return fgetc(stdin) == EOF ? 0 : 91;
}

int main(int count, char **words) {
    if (count == 3 && strcmp(words[1], "agree") == 0) return agree(strtoull(words[2], NULL, 10));
    if (count < 4) return 90;
    open_board(words[2], words[3]);
    int code = 90;
    if (strcmp(words[1], "answer") == 0) code = answers();
    if (strcmp(words[1], "torture") == 0) code = torture(atoi(words[4]));
    if (strcmp(words[1], "closed") == 0) code = closed(words[4]);
    if (strcmp(words[1], "seen") == 0) code = seen(words[4]);
    mainstay_close(&board);
    return code;
}
