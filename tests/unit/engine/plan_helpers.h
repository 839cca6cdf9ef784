/* plan_helpers.h - plans and workspaces that must work, for the tests of what makes and runs them. */
#ifndef PSAL_TESTS_PLAN_HELPERS_H
#define PSAL_TESTS_PLAN_HELPERS_H

#include <check.h>

#include "engine/plan.h"

static inline psal_plan *plan_of(const psal_graph *g, const psal_plan_options *options) {
    psal_error err = PSAL_ERROR_INIT;
    psal_plan *plan = psal_plan_new(g, options, &err);
    ck_assert_msg(plan != NULL, "%s", err.message);
    return plan;
}

static inline psal_workspace *workspace_of(const psal_plan *plan) {
    psal_error err = PSAL_ERROR_INIT;
    psal_workspace *ws = psal_workspace_new(plan, &err);
    ck_assert_msg(ws != NULL, "%s", err.message);
    return ws;
}

static inline void run(psal_workspace *ws, int stage) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_workspace_run(ws, stage, &err) == PSAL_OK, "%s", err.message);
}

#endif
