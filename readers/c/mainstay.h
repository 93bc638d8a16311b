/* mainstay.h: reads mainstay's feature flags from C. Links to nothing beyond the C library, allocates nothing.
 *
 *     #define _GNU_SOURCE
 *     #include "mainstay.h"
 *
 *     static mainstay_board board;
 *     static mainstay_flag checkout;
 *
 *     mainstay_open(&board, NULL, MAINSTAY_COPY);           // NULL: the directory of $MAINSTAY_BOARD
 *     mainstay_find(&checkout, &board, "new-checkout");
 *     if (mainstay_is_on_for(&checkout, "user:1", false)) …
 *
 * A read never blocks, never fails and never crashes, whatever happens to the file or to mainstay: it answers with a proven
 * value; else with the last value that this handle has proven; else with the caller's fallback. A handle stays good for
 * ever, whether its flag exists yet or not.
 *
 * Threads: a board and its flags are for one thread at a time. Give each thread its own; the memory behind them is shared.
 * Forks: a child may go on with them.
 *
 * Two ways to load:
 *   MAINSTAY_COPY  by pread(2), one or two system calls a read (about 0.3 µs). Nothing that is done to the file can hurt.
 *   MAINSTAY_MAP   from a shared mapping: a few nanoseconds a read. When somebody truncates the file, the next load raises
 *                  SIGBUS. Only for processes whose handler of SIGBUS (SA_SIGINFO) asks mainstay_guard() first:
 *
 *     static void on_sigbus(int signal, siginfo_t *info, void *context) {
 *         if (info->si_code == BUS_ADRERR && mainstay_guard(&board, info->si_addr)) return;   // reads as zeros now
 *         …                                                                                   // not mainstay's
 *     }
 *
 * The format is described in docs/board.md and docs/blackbox.md. C11, Linux, 64 bit, little-endian. */

#ifndef MAINSTAY_H
#define MAINSTAY_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(F_GET_SEALS) || !defined(CLOCK_MONOTONIC_COARSE)
#error "define _GNU_SOURCE before the first header"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || ATOMIC_LLONG_LOCK_FREE != 2 || SIZE_MAX < UINT64_MAX
#error "the board is little-endian, and read by 64-bit atomic loads"
#endif

/* --- what you call ------------------------------------------------------------------------------------------- */

enum mainstay_mode { MAINSTAY_COPY, MAINSTAY_MAP };

enum mainstay_source {
    MAINSTAY_PROVEN,  /* from a live board, and proven */
    MAINSTAY_STALE,   /* the last that was proven: the board is damaged or gone, and being mended */
    MAINSTAY_UNKNOWN, /* proven: no such flag is declared */
    MAINSTAY_LOST     /* nothing is known, and nothing ever was */
};

enum mainstay_kind {
    MAINSTAY_BOOL = 1,
    MAINSTAY_PERCENT = 2,
    MAINSTAY_STAGE = 3,
    MAINSTAY_INT = 4,
    MAINSTAY_TEXT = 5,
    MAINSTAY_INSTANCES = 6 /* a share that counts instances */
};

#define MAINSTAY_NAME_MAX 128 /* bytes of a name, a salt, a text, the name of a stage */
#define MAINSTAY_ID_MAX 1024  /* bytes of an id */

typedef struct mainstay_board mainstay_board;
typedef struct mainstay_flag mainstay_flag;

/* What a flag is set to. */
typedef struct {
    enum mainstay_source source; /* for UNKNOWN and LOST, nothing else here means anything */
    enum mainstay_kind kind;
    bool disabled;      /* no opinion: the caller's fallback holds */
    bool on;            /* BOOL */
    uint32_t share;     /* PERCENT, INSTANCES: of 100,000 */
    uint32_t stage;     /* STAGE */
    int64_t number;     /* INT */
    uint32_t length;    /* TEXT; STAGE: of its name */
    char text[MAINSTAY_NAME_MAX + 1]; /* TEXT; STAGE: its name, when it is known. A zero follows */
} mainstay_reading;

/* Opens the board in a runtime directory; NULL: that of $MAINSTAY_BOARD. 0, or -1 with errno when no board can be read there
 * now. The board may be used in both cases: it is looked for again while flags are read. EINVAL: there is no directory. */
static inline int mainstay_open(mainstay_board *board, const char *directory, enum mainstay_mode mode);

/* Unmaps and closes. Its flags answer with what they have. */
static inline void mainstay_close(mainstay_board *board);

/* For a handler of SIGBUS: true when `address` is one of this board's; from then on it reads as zeros, which are no value. */
static inline bool mainstay_guard(mainstay_board *board, void *address);

/* Makes a handle. PROVEN, UNKNOWN or LOST, all of which it survives. A name that cannot be one is UNKNOWN for ever. */
static inline enum mainstay_source mainstay_find(mainstay_flag *flag, mainstay_board *board, const char *name);

/* Is it on for everybody? `fallback` where it has no opinion: disabled, unknown, a share without an id, a number or a text, or
 * nobody can say. A share by instances is decided for $MAINSTAY_INSTANCE. Lists of ids are not looked at. */
static inline bool mainstay_is_on(mainstay_flag *flag, bool fallback);

/* Is it on for this id, of 1 to 1024 bytes? For a share by instances the id is the name of an instance. */
static inline bool mainstay_is_on_for(mainstay_flag *flag, const char *id, bool fallback);
static inline bool mainstay_is_on_for_bytes(mainstay_flag *flag, const void *id, size_t length, bool fallback);

/* The number, the stage or the text that it is set to; the fallback where it has no opinion, or is of another kind. The text is
 * copied with a zero behind it and its length returned; -1, and nothing copied, without an opinion. */
static inline int64_t mainstay_int(mainstay_flag *flag, int64_t fallback);
static inline uint32_t mainstay_stage(mainstay_flag *flag, uint32_t fallback);
static inline int mainstay_text(mainstay_flag *flag, char text[MAINSTAY_NAME_MAX + 1]);

/* All of it, and how good the answer is. */
static inline enum mainstay_source mainstay_read(mainstay_flag *flag, mainstay_reading *reading);

/* The number of the board's last change. False: no board can be read. */
static inline bool mainstay_generation(mainstay_board *board, uint64_t *generation);

/* Waits until that number is another one than `seen`, and says which. False after `timeout_ms`. Sleeps on the board. */
static inline bool mainstay_wait(mainstay_board *board, uint64_t seen, int timeout_ms, uint64_t *generation);

/* Tells the guard how the work goes: one success or one error. Nothing happens outside of mainstay. */
static inline void mainstay_report(mainstay_board *board, bool ok);

/* Bucketing version 1: the position of an id, 0 to 99,999; 100,000 when salt or id are too long, or the id is empty. */
static inline uint32_t mainstay_position(const char *salt, const void *id, size_t length);

/* --- how it is made: nothing below is for you ---------------------------------------------------------------- */

struct mainstay_board {
    enum mainstay_mode mode;
    bool shown;                   /* false: no board */
    int fd;                       /* COPY. -1: none */
    const _Atomic uint64_t *map;  /* MAP: the whole file. COPY: NULL */
    size_t map_bytes;
    void *page;                   /* COPY: the first page, for the kernel's futex only, never loaded from */
    uint64_t serial;              /* rises with each board that is shown */
    uint64_t incarnation, cells, slots, index, names, arena, generation_high, live;
    dev_t device;
    ino_t inode;
    uint64_t next_look, next_try, pause; /* nanoseconds */
    _Atomic uint64_t *blackbox;   /* NULL: none */
    char directory[PATH_MAX];
    size_t instance_length;       /* 0: outside of any */
    char instance[MAINSTAY_ID_MAX + 1];
};

typedef struct {
    uint32_t state, waiting_bytes, length;
    uint64_t waiting;
} mainstay_hash_;

struct mainstay_flag {
    mainstay_board *board;
    uint64_t name[MAINSTAY_NAME_MAX / 8];
    uint32_t name_length; /* 0: no name */
    uint64_t hash;
    /* where it is on the board `serial` */
    uint64_t serial, slot, reference;
    mainstay_hash_ prefix; /* of the salt */
    /* what was proven last; 0: nothing yet. With it, what its record says */
    uint64_t word, word_serial;
    int64_t number;
    uint32_t share, length;
    int own; /* INSTANCES: 1 on, 0 off, -1 no opinion */
    char text[MAINSTAY_NAME_MAX + 1];
};

#define MAINSTAY_GOLDEN_ UINT64_C(0x9e3779b97f4a7c15)
#define MAINSTAY_WHOLE_ UINT32_C(100000)
#define MAINSTAY_DISABLED_ (UINT32_C(1) << 18)
#define MAINSTAY_LISTS_ (UINT32_C(1) << 20)

enum { MAINSTAY_HEADER_ = 16, MAINSTAY_STATE_ = 16, MAINSTAY_GENERATION_ = 25, MAINSTAY_FUTEX_ = 32, MAINSTAY_WORDS_ = 512 };
enum { MAINSTAY_NAME_CELLS_ = 16, MAINSTAY_RECORD_ = 36, MAINSTAY_PROBES_ = 256, MAINSTAY_TRIES_ = 8 };
enum { MAINSTAY_TYPE_INT_ = 4, MAINSTAY_TYPE_TEXT_, MAINSTAY_TYPE_INSTANCES_, MAINSTAY_TYPE_LISTS_, MAINSTAY_TYPE_STAGES_,
       MAINSTAY_TYPE_STRING_ };

/* --- seals and checks --- */

static inline uint64_t mainstay_mix_(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline uint64_t mainstay_factor_(uint64_t at) { return mainstay_mix_((at + 1) * MAINSTAY_GOLDEN_) | 1; }

static inline uint64_t mainstay_key_(uint64_t incarnation, uint64_t cell) {
    return mainstay_mix_(incarnation + (cell + 1) * MAINSTAY_GOLDEN_);
}

static inline uint64_t mainstay_close_(uint64_t incarnation, uint64_t cell, uint32_t body) {
    uint64_t key = mainstay_key_(incarnation, cell);
    uint32_t x = body ^ (uint32_t)key;
    x = (x ^ x >> 16) * UINT32_C(0x7feb352d);
    return (uint64_t)((x ^ x >> 15) ^ (uint32_t)(key >> 32)) << 32 | body;
}

__extension__ typedef unsigned __int128 mainstay_product_;

/* "Checks" in docs/board.md. */
static inline uint64_t mainstay_proof_(uint64_t start, const uint64_t *cells, size_t count) {
    for (size_t at = 0; at + 1 < count; at += 2) {
        mainstay_product_ product = (mainstay_product_)(cells[at] ^ mainstay_factor_(at + 1)) *
                                    (mainstay_product_)(cells[at + 1] ^ mainstay_factor_(at + 2));
        start += (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    if (count % 2 == 1) start += mainstay_mix_(cells[count - 1] ^ mainstay_factor_(count));
    start ^= count;
    return (start ^ start >> 32) * UINT64_C(0x94d049bb133111eb);
}

static inline uint64_t mainstay_check_(uint64_t incarnation, uint64_t cell, const uint64_t *cells, size_t count) {
    return mainstay_proof_(mainstay_key_(incarnation, cell), cells, count);
}

/* --- loading: every cell is bounded here, once for all --- */

/* Copies `count` cells from `cell` on; zeros for what is not there. */
static inline void mainstay_load_many_(const mainstay_board *board, uint64_t cell, size_t count, uint64_t *cells) {
    memset(cells, 0, count * 8);
    if (cell > board->cells || count > board->cells - cell) return;
    if (board->map != NULL) {
        for (size_t at = 0; at < count; at++)
            cells[at] = atomic_load_explicit(&board->map[cell + at], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        return;
    }
    size_t done = 0;
    while (done < count * 8) {
        ssize_t got = pread(board->fd, (char *)cells + done, count * 8 - done, (off_t)(cell * 8 + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return;
        done += (size_t)got;
    }
}

static inline uint64_t mainstay_load_(const mainstay_board *board, uint64_t cell) {
    uint64_t word;
    mainstay_load_many_(board, cell, 1, &word);
    return word;
}

/* The body of a sealed cell. */
static inline bool mainstay_body_(const mainstay_board *board, uint64_t cell, uint32_t *body) {
    uint64_t word = mainstay_load_(board, cell);
    *body = (uint32_t)word;
    return mainstay_close_(board->incarnation, cell, *body) == word;
}

/* The board is shown, and live. What is loaded after this is of a live board, or does not prove itself. */
static inline bool mainstay_is_live_(const mainstay_board *board) {
    return board->live != 0 && mainstay_load_(board, MAINSTAY_STATE_) == board->live;
}

/* --- opening --- */

static inline uint64_t mainstay_now_(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) return 0;
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Closes the descriptor, unless somebody else closed it before and the number is another file's. */
static inline void mainstay_close_fd_(mainstay_board *board) {
    struct stat look;
    if (board->fd >= 0 && fstat(board->fd, &look) == 0 && look.st_dev == board->device && look.st_ino == board->inode)
        close(board->fd);
    board->fd = -1;
}

static inline void mainstay_hide_(mainstay_board *board) {
    if (board->map != NULL) munmap((void *)(uintptr_t)board->map, board->map_bytes);
    if (board->page != NULL) munmap(board->page, 4096);
    mainstay_close_fd_(board);
    board->map = NULL;
    board->page = NULL;
    board->shown = false;
    board->live = 0;
    board->cells = 0;
}

/* Fills `next` from the file behind its descriptor; false unless every cell is as a writer of this version makes it. */
static inline bool mainstay_header_(mainstay_board *next, const struct stat *look) {
    uint64_t head[MAINSTAY_HEADER_];
    next->map = NULL;
    next->cells = MAINSTAY_HEADER_ + 1;
    mainstay_load_many_(next, 0, MAINSTAY_HEADER_, head);
    uint64_t slots = head[4], index = 4096 + 8 * slots, names = index + 16 * slots, arena = names + 288 * slots;
    if (memcmp(head, "mainstay", 8) != 0 || head[1] != UINT64_C(0x0102030400000004) || head[2] == 0) return false;
    if (slots < 64 || slots > 131072 || (slots & (slots - 1)) != 0) return false;
    if (head[10] > (UINT64_C(64) << 20) || head[10] % 8 != 0 || head[3] != arena + head[10] || head[3] > (UINT64_C(64) << 20))
        return false;
    if (head[5] != 2 * slots || head[6] != 4096 || head[7] != index || head[8] != names || head[9] != arena) return false;
    if (head[11] != 0 || head[12] > UINT32_MAX || head[14] != 0) return false;
    if (head[13] != look->st_ino || (uint64_t)look->st_size != head[3]) return false;
    if (head[15] != mainstay_check_(head[2], 0, head, 15)) return false;
    next->incarnation = head[2];
    next->cells = head[3] / 8;
    next->slots = slots;
    next->index = index / 8;
    next->names = names / 8;
    next->arena = arena / 8;
    next->generation_high = head[12];
    next->live = mainstay_close_(head[2], MAINSTAY_STATE_, UINT32_C(0x4556494c));
    next->device = look->st_dev;
    next->inode = look->st_ino;
    next->map_bytes = head[3];
    return true;
}

/* Writes directory and name into `path`; false when that is too long. */
static inline bool mainstay_path_(const mainstay_board *board, const char *name, char path[PATH_MAX]) {
    size_t directory = strlen(board->directory), length = strlen(name);
    if (directory + 1 + length >= PATH_MAX) return false;
    memcpy(path, board->directory, directory);
    path[directory] = '/';
    memcpy(path + directory + 1, name, length + 1);
    return true;
}

/* Opens one of the two links; errno says why not. */
static inline bool mainstay_candidate_(const mainstay_board *board, const char *name, mainstay_board *next) {
    char path[PATH_MAX];
    struct stat directory, look;
    if (!mainstay_path_(board, name, path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (stat(board->directory, &directory) != 0) return false;
    if (!S_ISDIR(directory.st_mode) || (directory.st_mode & 022) != 0) {
        errno = EPERM;
        return false;
    }
    next->mode = board->mode;
    next->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (next->fd < 0) return false;
    if (fstat(next->fd, &look) == 0 && S_ISREG(look.st_mode) && (look.st_uid == 0 || look.st_uid == directory.st_uid) &&
        mainstay_header_(next, &look) && mainstay_is_live_(next))
        return true;
    close(next->fd);
    errno = EINVAL;
    return false;
}

/* Is this very board shown already, whole? (Not when its mapping was lost meanwhile.) */
static inline bool mainstay_is_shown_(const mainstay_board *board, const mainstay_board *next) {
    return board->shown && board->device == next->device && board->inode == next->inode &&
           board->incarnation == next->incarnation && mainstay_is_live_(board);
}

/* Shows the board that the name leads to, or else the second link. True when that is a change. */
static inline bool mainstay_attach_(mainstay_board *board) {
    static const char *const names[2] = {"board", ".kept/board"};
    mainstay_board next = {0};
    for (int at = 0; at < 2; at++) {
        if (!mainstay_candidate_(board, names[at], &next)) continue;
        if (mainstay_is_shown_(board, &next)) {
            close(next.fd);
            return false;
        }
        size_t bytes = board->mode == MAINSTAY_MAP ? next.map_bytes : 4096;
        void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, next.fd, 0);
        if (map == MAP_FAILED && board->mode == MAINSTAY_MAP) {
            close(next.fd);
            return false;
        }
        mainstay_hide_(board);
        if (board->mode == MAINSTAY_MAP)
            board->map = (const _Atomic uint64_t *)map;
        else
            board->page = map == MAP_FAILED ? NULL : map;
        board->map_bytes = next.map_bytes;
        board->incarnation = next.incarnation;
        board->cells = next.cells;
        board->slots = next.slots;
        board->index = next.index;
        board->names = next.names;
        board->arena = next.arena;
        board->generation_high = next.generation_high;
        board->live = next.live;
        board->device = next.device;
        board->inode = next.inode;
        board->fd = next.fd;
        if (board->mode == MAINSTAY_MAP) mainstay_close_fd_(board); /* the mapping is enough */
        board->shown = true;
        board->serial++;
        return true;
    }
    return false;
}

/* At most each 10 ms: does the name still lead to the board that is shown? One that lost its names while no keeper lived is
 * never marked retired. */
static inline void mainstay_look_(mainstay_board *board, uint64_t now) {
    char path[PATH_MAX];
    struct stat look;
    if (now < board->next_look) return;
    board->next_look = now + 10000000;
    if (mainstay_path_(board, "board", path) && lstat(path, &look) == 0 &&
        (!board->shown || look.st_dev != board->device || look.st_ino != board->inode))
        mainstay_attach_(board);
}

/* Something was lost: opens the board again, after 1 ms, doubling to 100 ms. True when another one is shown. */
static inline bool mainstay_recover_(mainstay_board *board, uint64_t now) {
    if (now < board->next_try) return false;
    if (now - board->next_try > 4 * board->pause) board->pause = 1000000; /* another trouble, not the same again */
    board->next_try = now + board->pause;
    board->pause = board->pause * 2 > 100000000 ? 100000000 : board->pause * 2;
    if (!mainstay_attach_(board)) return false;
    board->next_try = now;
    return true;
}

/* --- the black box: which value this process has seen --- */

enum { MAINSTAY_BOX_BYTES_ = 524288, MAINSTAY_BOX_OVERFLOWS_ = 16, MAINSTAY_BOX_COUNTERS_ = 128, MAINSTAY_BOX_SEEN_ = 512 };

#define MAINSTAY_BOX_VERSION_ UINT64_C(0x0102030400000003)

/* "What proves a record" in docs/blackbox.md. */
static inline uint64_t mainstay_box_proof_(uint64_t place, const uint64_t *cells, size_t count) {
    return mainstay_proof_(MAINSTAY_BOX_VERSION_ + place * mainstay_factor_(0), cells, count);
}

static inline void mainstay_box_open_(mainstay_board *board) {
    const char *number = getenv("MAINSTAY_BLACKBOX_FD");
    const uint64_t version = MAINSTAY_BOX_VERSION_;
    uint64_t head[16], right[16] = {0, version, 524288, 4096, 1024, 1024, 16, 36864, 64, 233472, 64, 258048, 1024, 389120, 512, 0};
    struct stat look;
    char *end;
    memcpy(&right[0], "mainbox", 8);
    right[15] = mainstay_box_proof_(0, right, 16);
    board->blackbox = NULL;
    if (number == NULL || *number < '0' || *number > '9') return;
    errno = 0;
    long fd = strtol(number, &end, 10);
    if (errno != 0 || *end != 0 || fd < 3 || fd > INT_MAX) return;
    /* The process may have closed it and opened something of its own under that number. */
    int seals = fcntl((int)fd, F_GET_SEALS);
    if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW)) return;
    if (fstat((int)fd, &look) != 0 || look.st_size != MAINSTAY_BOX_BYTES_) return;
    if (pread((int)fd, head, sizeof head, 0) != (ssize_t)sizeof head || memcmp(head, right, sizeof head) != 0) return;
    void *map = mmap(NULL, MAINSTAY_BOX_BYTES_, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    if (map != MAP_FAILED) board->blackbox = (_Atomic uint64_t *)map;
}

static inline uint64_t mainstay_box_check_(uint64_t entry, uint64_t key, uint64_t value, uint64_t time, uint64_t high) {
    const uint64_t cells[4] = {key, value, time, high & 0xffff};
    return cells[3] << 48 | mainstay_box_proof_(MAINSTAY_BOX_SEEN_ + 4 * entry, cells, 4) >> 16;
}

/* See "Noting" in docs/blackbox.md. Bounded; waits for nobody. */
static inline void mainstay_note_(mainstay_board *board, uint64_t hash, uint32_t body, uint64_t generation, uint64_t at) {
    _Atomic uint64_t *box = board->blackbox, *cells = NULL;
    uint64_t key = hash == 0 ? 1 : hash, value = generation << 32 | body, high = generation >> 32, entry = 0;
    if (box == NULL) return;
    for (uint64_t probe = 0; probe < 128 && cells == NULL; probe++) {
        entry = 128 * (probe / 16) + (((key >> (7 * (probe / 16))) + probe % 16) & 127);
        _Atomic uint64_t *met = &box[MAINSTAY_BOX_SEEN_ + 4 * entry];
        uint64_t there = 0;
        if (atomic_load(met) == key || atomic_compare_exchange_strong(met, &there, key) || there == key) cells = met;
    }
    if (cells == NULL) {
        atomic_fetch_add(&box[MAINSTAY_BOX_OVERFLOWS_], 1);
        return;
    }
    int tries = 64;
    for (;; tries--) {
        if (tries == 0) return;
        uint64_t standing = atomic_load(&cells[1]), time = atomic_load(&cells[2]), check = atomic_load(&cells[3]);
        if ((uint32_t)standing == body) {
            if (check == mainstay_box_check_(entry, key, standing, time, check >> 48)) return;
            if (standing == value) break; /* torn: it is completed here */
        } else if ((uint32_t)standing != 0) {
            bool older = (int32_t)((uint32_t)(value >> 32) - (uint32_t)(standing >> 32)) < 0;
            if (time > at || (older && at - time < 1000000000)) return;
        }
        if (atomic_compare_exchange_strong(&cells[1], &standing, value)) break;
    }
    bool timed = false;
    for (tries = 64; tries > 0; tries--) {
        /* In this order: see docs/blackbox.md. */
        uint64_t check = atomic_load(&cells[3]), time = atomic_load(&cells[2]);
        if (atomic_load(&cells[1]) != value) return;
        if (!timed)
            timed = atomic_compare_exchange_strong(&cells[2], &time, at > time + 1 ? at : time + 1);
        else if (atomic_compare_exchange_strong(&cells[3], &check, mainstay_box_check_(entry, key, value, time, high)))
            return;
    }
}

static inline void mainstay_report(mainstay_board *board, bool ok) {
    static _Atomic unsigned threads;
    static _Thread_local unsigned pair; /* 0: none yet */
    if (board->blackbox == NULL) return;
    if (pair == 0) pair = 1 + atomic_fetch_add(&threads, 1) % 16;
    atomic_fetch_add_explicit(&board->blackbox[MAINSTAY_BOX_COUNTERS_ + 8 * (pair - 1) + (ok ? 0 : 1)], 1,
                              memory_order_relaxed);
}

/* --- bucketing: MurmurHash3 x86 32-bit of the CBOR array [salt, id], fed in pieces --- */

static inline void mainstay_block_(mainstay_hash_ *hash) {
    uint32_t k = (uint32_t)hash->waiting * UINT32_C(0xcc9e2d51);
    k = (k << 15 | k >> 17) * UINT32_C(0x1b873593);
    hash->state ^= k;
    hash->state = (hash->state << 13 | hash->state >> 19) * 5 + UINT32_C(0xe6546b64);
    hash->waiting >>= 32;
}

static inline void mainstay_feed_(mainstay_hash_ *hash, const void *from, size_t count) {
    const unsigned char *bytes = (const unsigned char *)from;
    hash->length += (uint32_t)count;
    for (; count >= 4; bytes += 4, count -= 4) {
        uint32_t four;
        memcpy(&four, bytes, 4);
        hash->waiting |= (uint64_t)four << (8 * hash->waiting_bytes);
        mainstay_block_(hash);
    }
    for (; count > 0; bytes++, count--) {
        hash->waiting |= (uint64_t)*bytes << (8 * hash->waiting_bytes);
        if (++hash->waiting_bytes == 4) {
            mainstay_block_(hash);
            hash->waiting_bytes = 0;
        }
    }
}

static inline void mainstay_feed_text_(mainstay_hash_ *hash, const void *text, size_t length) {
    unsigned char head[3];
    size_t count = length < 24 ? 1 : length < 256 ? 2 : 3;
    head[0] = (unsigned char)(count == 1 ? 0x60 + length : count == 2 ? 0x78 : 0x79);
    head[1] = (unsigned char)(count == 2 ? length : length >> 8);
    head[2] = (unsigned char)length;
    mainstay_feed_(hash, head, count);
    mainstay_feed_(hash, text, length);
}

static inline mainstay_hash_ mainstay_prefix_(const void *salt, size_t length) {
    mainstay_hash_ hash = {0, 0, 0, 0};
    mainstay_feed_(&hash, "\x82", 1);
    mainstay_feed_text_(&hash, salt, length);
    return hash;
}

/* The hash of an id of 1 to 1024 bytes. */
static inline bool mainstay_hashed_(mainstay_hash_ hash, const void *id, size_t length, uint32_t *out) {
    if (length == 0 || length > MAINSTAY_ID_MAX) return false;
    mainstay_feed_text_(&hash, id, length);
    uint32_t k = (uint32_t)hash.waiting * UINT32_C(0xcc9e2d51); /* no bytes that wait are zeros, and change nothing */
    hash.state ^= (k << 15 | k >> 17) * UINT32_C(0x1b873593);
    uint32_t h = hash.state ^ hash.length;
    h = (h ^ h >> 16) * UINT32_C(0x85ebca6b);
    h = (h ^ h >> 13) * UINT32_C(0xc2b2ae35);
    *out = h ^ h >> 16;
    return true;
}

static inline uint32_t mainstay_position_of_(uint32_t hash) { return (uint32_t)((uint64_t)hash * MAINSTAY_WHOLE_ >> 32); }

static inline uint32_t mainstay_position(const char *salt, const void *id, size_t length) {
    uint32_t hash;
    size_t salt_length = strlen(salt);
    if (salt_length > MAINSTAY_NAME_MAX) return MAINSTAY_WHOLE_;
    return mainstay_hashed_(mainstay_prefix_(salt, salt_length), id, length, &hash) ? mainstay_position_of_(hash)
                                                                                    : MAINSTAY_WHOLE_;
}

/* --- records in the arena: every place and every length is bounded --- */

static inline bool mainstay_holds_(const mainstay_board *board, uint64_t cell, uint64_t count) {
    return cell >= board->arena && cell <= board->cells && count <= board->cells - cell;
}

/* The lower 28 bits in the head of a record of this type. */
static inline bool mainstay_head_(const mainstay_board *board, uint64_t cell, uint32_t type, uint32_t *length) {
    uint32_t body;
    if (!mainstay_holds_(board, cell, 1) || !mainstay_body_(board, cell, &body) || body >> 28 != type) return false;
    *length = body & UINT32_C(0xfffffff);
    return true;
}

/* The bytes of a record; -1: lost. `bytes` has room for `most`, a multiple of 8. */
static inline int mainstay_bytes_(const mainstay_board *board, uint64_t cell, uint32_t type, size_t most, void *bytes) {
    uint64_t cells[2 + MAINSTAY_ID_MAX / 8];
    uint32_t length;
    if (!mainstay_head_(board, cell, type, &length) || length > most) return -1;
    size_t count = 1 + (length + 7) / 8;
    if (!mainstay_holds_(board, cell, count + 1)) return -1;
    mainstay_load_many_(board, cell, count + 1, cells);
    /* The head as it was opened: it must not be another one now. */
    if (cells[0] != mainstay_close_(board->incarnation, cell, type << 28 | length)) return -1;
    if (cells[count] != mainstay_check_(board->incarnation, cell, cells, count)) return -1;
    memcpy(bytes, &cells[1], length);
    return (int)length;
}

/* Among `count` sealed cells with ascending bodies, `step` apart, the first that is not below `hash`. */
static inline bool mainstay_search_(const mainstay_board *board, uint64_t from, uint32_t step, uint32_t count, uint32_t hash,
                                    uint32_t *found) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, body;
        if (!mainstay_body_(board, from + (uint64_t)step * middle, &body)) return false;
        if (body < hash)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low;
    return true;
}

/* 1: the instance of this hash is on; 0: off; -1: lost. */
static inline int mainstay_has_instance_(const mainstay_board *board, uint64_t cell, uint32_t hash) {
    uint32_t count, at, body;
    if (!mainstay_head_(board, cell, MAINSTAY_TYPE_INSTANCES_, &count) || !mainstay_holds_(board, cell, 2 + (uint64_t)count) ||
        !mainstay_search_(board, cell + 2, 1, count, hash, &at))
        return -1;
    if (at == count) return 0;
    return mainstay_body_(board, cell + 2 + at, &body) ? body == hash : -1;
}

/* Where an id is: 'd' denied, 'a' allowed, 'n' in no list, -1 lost. */
static inline int mainstay_listed_(const mainstay_board *board, uint64_t cell, const void *id, size_t length, uint32_t hash) {
    uint32_t counts, at, body, string;
    char bytes[MAINSTAY_ID_MAX];
    if (!mainstay_head_(board, cell, MAINSTAY_TYPE_LISTS_, &counts) || counts >> 16 != 0) return -1;
    uint32_t allowed = counts & 0xff, denied = counts >> 8;
    if (!mainstay_holds_(board, cell, 1 + 2 * ((uint64_t)allowed + denied))) return -1;
    for (int list = 0; list < 2; list++) {
        uint64_t from = cell + 1 + (list == 0 ? 0 : 2 * (uint64_t)denied);
        uint32_t count = list == 0 ? denied : allowed;
        if (!mainstay_search_(board, from, 2, count, hash, &at)) return -1;
        for (; at < count; at++) {
            if (!mainstay_body_(board, from + 2 * (uint64_t)at, &body)) return -1;
            if (body != hash) break;
            if (!mainstay_body_(board, from + 2 * (uint64_t)at + 1, &string)) return -1;
            int got = mainstay_bytes_(board, string, MAINSTAY_TYPE_STRING_, MAINSTAY_ID_MAX, bytes);
            if (got < 0) return -1;
            if ((size_t)got == length && memcmp(bytes, id, length) == 0) return list == 0 ? 'd' : 'a';
        }
    }
    return 'n';
}

/* --- flags --- */

static inline uint64_t mainstay_record_cell_(uint32_t body) { return (body & 0x3ffff) | (uint64_t)(body >> 19 & 0x1ff) << 18; }

/* Is this what a writer of this version writes for a flag? Another kind is not for this reader. */
static inline bool mainstay_is_flag_(uint32_t body) {
    uint32_t rest = body & UINT32_C(0xfffffff) & ~MAINSTAY_DISABLED_, share = rest & ~MAINSTAY_LISTS_;
    switch (body >> 28) {
    case MAINSTAY_BOOL: return rest == 0 || share == UINT32_C(1) << 17;
    case MAINSTAY_PERCENT: return share > 0 && share < MAINSTAY_WHOLE_;
    case MAINSTAY_STAGE: return rest < UINT32_C(1) << 17;
    case MAINSTAY_INT: case MAINSTAY_TEXT: case MAINSTAY_INSTANCES: return true;
    default: return false;
    }
}

/* Finds the flag on the board that is shown. */
static inline enum mainstay_source mainstay_search_name_(mainstay_flag *flag) {
    mainstay_board *board = flag->board;
    if (flag->name_length == 0) return MAINSTAY_UNKNOWN;
    if (!mainstay_is_live_(board)) return MAINSTAY_LOST;
    for (uint64_t probe = 0; probe < MAINSTAY_PROBES_; probe++) {
        uint64_t entry = board->index + ((flag->hash + probe) & (2 * board->slots - 1)), record[MAINSTAY_RECORD_];
        uint32_t body, lengths;
        if (!mainstay_body_(board, entry, &body)) return MAINSTAY_LOST;
        if (body == 0) return MAINSTAY_UNKNOWN;
        uint64_t slot = (uint64_t)(body & 0xfffff) - 1;
        if (body >> 20 != flag->hash >> 52 || (body & 0xfffff) == 0) continue;
        if (slot >= board->slots) return MAINSTAY_LOST;
        uint64_t cell = board->names + MAINSTAY_RECORD_ * slot;
        mainstay_load_many_(board, cell, MAINSTAY_RECORD_, record);
        lengths = (uint32_t)record[1];
        size_t name = lengths & 0xff, salt = lengths >> 8 & 0xff;
        if (mainstay_close_(board->incarnation, cell + 1, lengths) != record[1]) return MAINSTAY_LOST;
        if (name > MAINSTAY_NAME_MAX || salt > MAINSTAY_NAME_MAX || lengths >> 16 != 1) return MAINSTAY_LOST;
        /* Cells that hold no byte count as zeros, whatever they are. */
        for (size_t at = (name + 7) / 8; at < MAINSTAY_NAME_CELLS_; at++) record[2 + at] = 0;
        for (size_t at = (salt + 7) / 8; at < MAINSTAY_NAME_CELLS_; at++) record[18 + at] = 0;
        if (record[35] != mainstay_check_(board->incarnation, cell, record, 35)) return MAINSTAY_LOST;
        if (name != flag->name_length || memcmp(&record[2], flag->name, sizeof flag->name) != 0) continue;
        if (mainstay_close_(board->incarnation, cell + 34, (uint32_t)record[34]) != record[34]) return MAINSTAY_LOST;
        flag->slot = slot;
        flag->reference = (uint32_t)record[34];
        flag->prefix = salt == 0 ? mainstay_prefix_(flag->name, name) : mainstay_prefix_(&record[18], salt);
        flag->serial = board->serial;
        return MAINSTAY_PROVEN;
    }
    return MAINSTAY_LOST;
}

/* The word that is there now, if it and the record behind it prove themselves; it becomes the last one. UNKNOWN: the flag is no
 * longer declared. */
static inline enum mainstay_source mainstay_prove_(mainstay_flag *flag) {
    mainstay_board *board = flag->board;
    uint64_t generation = 0, cell = MAINSTAY_WORDS_ + flag->slot, at = 0;
    uint32_t low, hash;
    /* Before the word, so that what is noted is at least as new as its number; and the state first: a board that is live now
     * has every value that was published before now. */
    if (board->blackbox != NULL) {
        at = mainstay_now_(CLOCK_MONOTONIC);
        if (mainstay_body_(board, MAINSTAY_GENERATION_, &low)) generation = board->generation_high << 32 | low;
    }
    if (flag->serial != board->serial || !mainstay_is_live_(board)) return MAINSTAY_LOST;
    uint64_t word = mainstay_load_(board, cell);
    uint32_t body = (uint32_t)word;
    if (mainstay_close_(board->incarnation, cell, body) != word) return MAINSTAY_LOST;
    if (body == UINT32_C(14) << 28) return MAINSTAY_UNKNOWN;
    if (!mainstay_is_flag_(body)) return MAINSTAY_LOST;
    if (word == flag->word && flag->word_serial == flag->serial) return MAINSTAY_PROVEN;
    uint64_t record = mainstay_record_cell_(body), number;
    uint32_t share = 0, count;
    int length = 0, own = -1;
    char text[MAINSTAY_NAME_MAX + 1] = {0};
    number = 0;
    switch (body >> 28) {
    case MAINSTAY_INT:
        if (mainstay_bytes_(board, record, MAINSTAY_TYPE_INT_, 8, &number) != 8) return MAINSTAY_LOST;
        break;
    case MAINSTAY_TEXT:
        length = mainstay_bytes_(board, record, MAINSTAY_TYPE_TEXT_, MAINSTAY_NAME_MAX, text);
        if (length < 0) return MAINSTAY_LOST;
        break;
    case MAINSTAY_STAGE: {
        /* The number is what counts; without its name it is as good. */
        uint32_t stage = body & 0x1ffff, string;
        if (stage > 0 && mainstay_head_(board, flag->reference, MAINSTAY_TYPE_STAGES_, &count) && stage <= count &&
            mainstay_holds_(board, flag->reference, 1 + (uint64_t)count) &&
            mainstay_body_(board, flag->reference + stage, &string))
            length = mainstay_bytes_(board, string, MAINSTAY_TYPE_STRING_, MAINSTAY_NAME_MAX, text);
        if (length < 0) length = 0;
        break;
    }
    case MAINSTAY_INSTANCES:
        if (!mainstay_head_(board, record, MAINSTAY_TYPE_INSTANCES_, &count) ||
            !mainstay_holds_(board, record, 2 + (uint64_t)count) || !mainstay_body_(board, record + 1, &share) || share == 0 ||
            share >= MAINSTAY_WHOLE_)
            return MAINSTAY_LOST;
        if (mainstay_hashed_(flag->prefix, board->instance, board->instance_length, &hash) &&
            (own = mainstay_has_instance_(board, record, hash)) < 0)
            return MAINSTAY_LOST;
        break;
    default: break;
    }
    flag->number = (int64_t)number;
    flag->share = share;
    flag->own = own;
    flag->length = (uint32_t)length;
    memcpy(flag->text, text, sizeof text);
    flag->word = word;
    flag->word_serial = flag->serial;
    mainstay_note_(board, flag->hash, body, generation, at);
    return MAINSTAY_PROVEN;
}

/* A search on the board that is shown, and the word there. */
static inline enum mainstay_source mainstay_prove_anew_(mainstay_flag *flag) {
    enum mainstay_source found = mainstay_search_name_(flag);
    return found == MAINSTAY_PROVEN ? mainstay_prove_(flag) : found;
}

/* However it comes: afterwards, unless it is UNKNOWN or LOST, the flag's word is a flag's, and what belongs to it is beside it. */
static inline enum mainstay_source mainstay_settle_(mainstay_flag *flag) {
    mainstay_board *board = flag->board;
    uint64_t now = mainstay_now_(CLOCK_MONOTONIC_COARSE);
    mainstay_look_(board, now);
    /* Bit for bit the word that was proven on this board: a retired board has none of its words any more. */
    if (flag->word != 0 && flag->word_serial == board->serial &&
        mainstay_load_(board, MAINSTAY_WORDS_ + flag->slot) == flag->word)
        return MAINSTAY_PROVEN;
    enum mainstay_source found = MAINSTAY_LOST;
    if (flag->serial == board->serial) found = mainstay_prove_(flag);
    if (found != MAINSTAY_PROVEN) found = mainstay_prove_anew_(flag);
    if (found == MAINSTAY_LOST && mainstay_recover_(board, now)) found = mainstay_prove_anew_(flag);
    if (found == MAINSTAY_LOST && flag->word != 0) return MAINSTAY_STALE;
    return found;
}

/* What the settled word means: 1 on, 0 off, -1 no opinion. No id: `length` 0. */
static inline int mainstay_decide_(mainstay_flag *flag, const void *id, size_t length) {
    uint32_t body = (uint32_t)flag->word, hash;
    const mainstay_board *board = flag->board;
    bool here = flag->word_serial == board->serial;
    if ((body & MAINSTAY_DISABLED_) != 0) return -1;
    switch (body >> 28) {
    case MAINSTAY_BOOL:
    case MAINSTAY_PERCENT: {
        bool all = body >> 28 == MAINSTAY_BOOL;
        if (all && (body >> 17 & 1) == 0) return 0;
        if (!mainstay_hashed_(flag->prefix, id, length, &hash)) return all ? 1 : -1;
        if ((body & MAINSTAY_LISTS_) != 0) {
            int listed = here ? mainstay_listed_(board, flag->reference, id, length, hash) : -1;
            if (listed != 'n') return listed == 'd' ? 0 : listed == 'a' ? 1 : -1;
        }
        return all || mainstay_position_of_(hash) < (body & 0x1ffff);
    }
    case MAINSTAY_INSTANCES:
        if (length == 0) return flag->own;
        if (!here || !mainstay_hashed_(flag->prefix, id, length, &hash)) return -1;
        return mainstay_has_instance_(board, mainstay_record_cell_(body), hash);
    default: return -1;
    }
}

/* --- what you call, again --- */

static inline int mainstay_open(mainstay_board *board, const char *directory, enum mainstay_mode mode) {
    const char *path = getenv("MAINSTAY_BOARD"), *instance = getenv("MAINSTAY_INSTANCE");
    size_t length = 0;
    memset(board, 0, sizeof *board);
    board->mode = mode;
    board->fd = -1;
    board->pause = 1000000;
    if (directory != NULL) {
        length = strlen(directory);
    } else if (path != NULL && strrchr(path, '/') != NULL) {
        directory = path;
        length = (size_t)(strrchr(path, '/') - path);
    }
    if (length == 0 || length >= PATH_MAX - 16) {
        errno = EINVAL;
        return -1;
    }
    memcpy(board->directory, directory, length);
    if (instance != NULL && strlen(instance) <= MAINSTAY_ID_MAX) {
        board->instance_length = strlen(instance);
        memcpy(board->instance, instance, board->instance_length);
    }
    mainstay_box_open_(board);
    mainstay_attach_(board);
    return board->shown ? 0 : -1;
}

static inline void mainstay_close(mainstay_board *board) {
    mainstay_hide_(board);
    if (board->blackbox != NULL) munmap((void *)(uintptr_t)board->blackbox, MAINSTAY_BOX_BYTES_);
    board->blackbox = NULL;
    board->serial++;
    board->next_look = board->next_try = UINT64_MAX;
}

static inline bool mainstay_guard(mainstay_board *board, void *address) {
    uintptr_t start = (uintptr_t)board->map, at = (uintptr_t)address;
    int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (board->map == NULL || at < start || at - start >= board->map_bytes) return false;
    /* The whole of it: never half file, half memory. */
    return mmap((void *)start, board->map_bytes, PROT_READ, flags, -1, 0) != MAP_FAILED;
}

static inline enum mainstay_source mainstay_find(mainstay_flag *flag, mainstay_board *board, const char *name) {
    size_t length = strlen(name);
    memset(flag, 0, sizeof *flag);
    flag->board = board;
    if (length > 0 && length <= MAINSTAY_NAME_MAX) {
        flag->name_length = (uint32_t)length;
        memcpy(flag->name, name, length);
        flag->hash = mainstay_proof_(length, flag->name, (length + 15) / 16 * 2);
    }
    return mainstay_settle_(flag);
}

static inline bool mainstay_is_on_for_bytes(mainstay_flag *flag, const void *id, size_t length, bool fallback) {
    int on = mainstay_settle_(flag) <= MAINSTAY_STALE ? mainstay_decide_(flag, id, length) : -1;
    return on < 0 ? fallback : on == 1;
}

static inline bool mainstay_is_on_for(mainstay_flag *flag, const char *id, bool fallback) {
    return mainstay_is_on_for_bytes(flag, id, strlen(id), fallback);
}

static inline bool mainstay_is_on(mainstay_flag *flag, bool fallback) { return mainstay_is_on_for_bytes(flag, "", 0, fallback); }

/* True when the settled word is of this kind and has an opinion. */
static inline bool mainstay_has_(mainstay_flag *flag, enum mainstay_kind kind) {
    return mainstay_settle_(flag) <= MAINSTAY_STALE && (uint32_t)flag->word >> 28 == (uint32_t)kind &&
           (flag->word & MAINSTAY_DISABLED_) == 0;
}

static inline int64_t mainstay_int(mainstay_flag *flag, int64_t fallback) {
    return mainstay_has_(flag, MAINSTAY_INT) ? flag->number : fallback;
}

static inline uint32_t mainstay_stage(mainstay_flag *flag, uint32_t fallback) {
    return mainstay_has_(flag, MAINSTAY_STAGE) ? (uint32_t)flag->word & 0x1ffff : fallback;
}

static inline int mainstay_text(mainstay_flag *flag, char text[MAINSTAY_NAME_MAX + 1]) {
    if (!mainstay_has_(flag, MAINSTAY_TEXT)) return -1;
    memcpy(text, flag->text, sizeof flag->text);
    return (int)flag->length;
}

static inline enum mainstay_source mainstay_read(mainstay_flag *flag, mainstay_reading *reading) {
    memset(reading, 0, sizeof *reading);
    reading->source = mainstay_settle_(flag);
    if (reading->source > MAINSTAY_STALE) return reading->source;
    uint32_t body = (uint32_t)flag->word;
    reading->kind = (enum mainstay_kind)(body >> 28);
    reading->disabled = (body & MAINSTAY_DISABLED_) != 0;
    reading->on = reading->kind == MAINSTAY_BOOL && (body >> 17 & 1) != 0;
    reading->share = reading->kind == MAINSTAY_PERCENT ? body & 0x1ffff : flag->share;
    reading->stage = reading->kind == MAINSTAY_STAGE ? body & 0x1ffff : 0;
    reading->number = flag->number;
    reading->length = flag->length;
    memcpy(reading->text, flag->text, sizeof flag->text);
    return reading->source;
}

static inline bool mainstay_generation_now_(mainstay_board *board, uint64_t *generation) {
    uint32_t low;
    if (!mainstay_is_live_(board) || !mainstay_body_(board, MAINSTAY_GENERATION_, &low)) return false;
    *generation = board->generation_high << 32 | low;
    return true;
}

static inline bool mainstay_generation(mainstay_board *board, uint64_t *generation) {
    uint64_t now = mainstay_now_(CLOCK_MONOTONIC_COARSE);
    mainstay_look_(board, now);
    if (mainstay_generation_now_(board, generation)) return true;
    mainstay_recover_(board, now);
    return mainstay_generation_now_(board, generation);
}

static inline bool mainstay_wait(mainstay_board *board, uint64_t seen, int timeout_ms, uint64_t *generation) {
    uint64_t wait = timeout_ms < 0 ? 0 : (uint64_t)timeout_ms * 1000000, until = mainstay_now_(CLOCK_MONOTONIC) + wait;
    for (;;) {
        /* The value before the generation: whatever changes in between wakes at once. */
        uint32_t value = (uint32_t)mainstay_load_(board, MAINSTAY_FUTEX_);
        uint64_t serial = board->serial, now;
        bool known = mainstay_generation(board, generation);
        if (known && *generation != seen) return true;
        now = mainstay_now_(CLOCK_MONOTONIC);
        if (now >= until) return false;
        uint64_t most = known ? 100000000 : 2000000, left = until - now < most ? until - now : most;
        struct timespec limit = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
        const char *start = board->map != NULL ? (const char *)(uintptr_t)board->map : (const char *)board->page;
        if (serial != board->serial) continue; /* the value is of the board before */
        /* Only the kernel looks at the address: when the file is gone, it says so. */
        if (!known || start == NULL ||
            (syscall(SYS_futex, start + 8 * MAINSTAY_FUTEX_, FUTEX_WAIT, value, &limit, NULL, 0) != 0 && errno == EFAULT))
            nanosleep(&limit, NULL);
    }
}

#endif
