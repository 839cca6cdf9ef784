/* mistakes_state.h - an experiment on many mistakes, on disk: what was measured of each so far, and what it belongs to.
 *
 * One file serves to go on after an interruption and as one machine's part of a run over several: --state FILE, of
 * --shard I/N FILE.part-I-of-N. Every mistake has a record of its own, from which tables, figures and summaries are
 * made as if all had been measured just now. The metadata names everything that the numbers depend on. */
#ifndef PSAL_TOOLS_MISTAKES_STATE_H
#define PSAL_TOOLS_MISTAKES_STATE_H

#include "io/run_lock.h"
#include "tools/mistakes.h"
#include "tools/shard.h"

#define PSAL_STATE_OPTIONS                                                                                            \
    {PSAL_OPTION_HEADING, .help = "Long runs"},                                                                       \
        {PSAL_OPTION_PATH,                                                                                            \
         "state",                                                                                                     \
         0,                                                                                                           \
         "FILE",                                                                                                      \
         NULL,                                                                                                        \
         "Keep what was measured of each mistake of --data (.safetensors), while the work goes on: for --resume and " \
         "merge.",                                                                                                    \
         .output = true},                                                                                             \
        {PSAL_OPTION_FLAG, "resume", .help = "Go on where an interrupted run stopped (--state)."},                    \
        {PSAL_OPTION_DOUBLE, "save-every",  0, "SECONDS", "60", "How often --state is written.",                      \
         .minimum = 0,       .maximum = 1e6},                                                                         \
    {                                                                                                                 \
        PSAL_OPTION_STRING, "shard", 0, "I/N", NULL,                                                                  \
            "Work on part I (from 1) of N of the mistakes; --state gets '.part-I-of-N'. auto: taken from a Slurm "    \
            "job array or from mpirun.",                                                                              \
            .known = "auto"                                                                                           \
    }
/* For psal_program.arguments, .subcommands and .most_arguments. */
#define PSAL_STATE_ARGUMENTS "[merge PART...]"
extern const psal_subcommand psal_state_subcommands[];
enum { PSAL_STATE_MOST_ARGUMENTS = 100000 };

typedef struct psal_mistakes_state {
    const psal_options *options;
    const char *program;
    bool merging;
    psal_shard shard;
    char path[4096]; /* "": nothing is kept */
    psal_run_lock *lock;
    const psal_mistakes *mistakes;
    const char *const *settings; /* names of the options that results depend on; NULL ends them */
    double *values;              /* [subjects][columns], the caller's */
    size_t columns, first, end;  /* of its subjects only these are its part */
    bool *done;                  /* [subjects] */
    int64_t hub;                 /* psal_edit_report.hub, which is of all mistakes */
    uint64_t data;               /* psal_dataset_fingerprint */
    double saved_at;
    size_t saved;            /* subjects that the file has */
    psal_error unsaved;      /* why the file could not be written while it ran; status PSAL_OK: it could */
    psal_mistakes_work work; /* while it runs: of the caller */
    void *work_data;
} psal_mistakes_state;

/* Before any work: what the command line says of it. `tables` (NULL ends them) are the options that a part has no use
 * for, since merge does that. */
psal_status psal_mistakes_state_check(psal_mistakes_state *state, const char *program, const psal_options *options,
                                      const char *const *tables, psal_error *err);
/* Once the mistakes are known: read what an earlier run has left, or with merge all parts, into values and done. */
psal_status psal_mistakes_state_open(psal_mistakes_state *state, const psal_mistakes *mistakes,
                                     const char *const *settings, double *values, size_t columns, psal_error *err);
/* Whether all of its subjects are done. */
bool psal_mistakes_state_finished(const psal_mistakes_state *state);
/* psal_mistakes_each for those that are not done, nor left out, saved as it goes on. The first signal stops it with
 * what it has done kept. */
psal_status psal_mistakes_state_run(psal_mistakes_state *state, const psal_mistakes_steps *steps,
                                    psal_mistakes_work work, void *data, psal_error *err);
/* After the work of a part, which has no tables: what was done, on standard output. */
void psal_mistakes_state_print_part(const psal_mistakes_state *state);
void psal_mistakes_state_close(psal_mistakes_state *state); /* zeroed is fine */

#endif
