//! What the system has promised since its first days, with real processes: tables are deleted, every service is killed, and all
//! of it is used in the same instant. `docs/recovery.md` lists what is shown by which test.
//!
//! This program is two: the tests, and the agent that the supervisor starts for them.

#[path = "../support/harness.rs"]
mod harness;
#[path = "../support/mod.rs"]
mod support;

mod agent;
mod end_to_end;
mod integration;
mod observability;
mod recovery;
mod rig;

use std::process::ExitCode;

const TESTS: &[(&str, fn())] = &[
    ("recovery::a_deleted_board_is_used_at_once", recovery::board_deleted),
    ("recovery::all_tables_deleted_at_once_are_used_at_once", recovery::all_tables_deleted),
    ("recovery::a_killed_keeper_is_used_in_the_same_instant_alone_and_under_load", recovery::keeper_killed),
    (
        "recovery::a_killed_telemetry_is_used_in_the_same_instant_alone_and_under_load",
        recovery::telemetry_killed,
    ),
    (
        "recovery::a_killed_registry_is_used_in_the_same_instant_alone_and_under_load",
        recovery::registry_killed,
    ),
    ("recovery::a_killed_logger_is_used_in_the_same_instant_alone_and_under_load", recovery::logger_killed),
    ("recovery::who_dies_with_a_context_leaves_no_trace_in_anothers", recovery::no_trace_in_another),
    ("recovery::twenty_rounds_of_start_use_and_kill_leave_memory_flat", recovery::memory_stays_flat),
    ("recovery::ten_rounds_leave_no_mapping_descriptor_or_file", recovery::nothing_is_leaked),
    (
        "recovery::twenty_workers_fail_at_random_while_services_die",
        recovery::twenty_workers_fail_while_services_die,
    ),
    (
        "recovery::graceful_degradation_under_extreme_failure",
        recovery::graceful_degradation_under_extreme_failure,
    ),
    (
        "end_to_end::an_agent_registers_works_enriches_an_error_and_cleans_up",
        end_to_end::register_work_enrich_clean_up,
    ),
    ("end_to_end::a_workflow_of_five_steps_of_which_one_fails", end_to_end::five_steps_of_which_one_fails),
    (
        "end_to_end::a_service_that_is_killed_in_the_middle_of_a_workflow_says_where_and_takes_it_up",
        end_to_end::killed_in_the_middle,
    ),
    (
        "end_to_end::a_migration_goes_through_all_stages_while_the_workflow_runs",
        end_to_end::a_migration_goes_through_all_stages_while_the_work_runs,
    ),
    (
        "end_to_end::rolled_back_to_stage_2_and_then_emergency_everything_works",
        end_to_end::rolled_back_to_a_stage_then_emergency,
    ),
    ("end_to_end::fifty_agents_work_under_load", end_to_end::fifty_agents_under_load),
    (
        "end_to_end::ten_rounds_of_twenty_agents_keep_memory_and_processes_flat",
        end_to_end::ten_rounds_of_twenty_agents,
    ),
    ("integration::stages_turn_on_the_right_flags", integration::stages_turn_on_the_right_flags),
    (
        "integration::every_process_decides_alike_about_a_percentage",
        integration::every_process_decides_alike_about_a_percentage,
    ),
    (
        "integration::context_is_set_enriched_cleared_and_nobody_elses",
        integration::context_is_set_enriched_cleared_and_nobody_elses,
    ),
    ("integration::one_of_many_gets_a_name", integration::one_of_many_gets_a_name),
    ("integration::nothing_is_worse_with_everything_on", integration::nothing_is_worse_with_everything_on),
    (
        "integration::a_table_is_deleted_and_a_built_in_crashes_while_agents_work",
        integration::a_table_is_deleted_and_a_built_in_crashes_while_agents_work,
    ),
    ("integration::flags_change_while_agents_work", integration::flags_change_while_agents_work),
    (
        "observability::parents_and_children_stay_true_through_restarts_and_stages",
        observability::parents_and_children_stay_true,
    ),
    (
        "observability::context_is_kept_through_a_whole_migration",
        observability::context_is_kept_through_a_whole_migration,
    ),
    ("observability::processes_are_apart", observability::processes_are_apart),
];

fn main() -> ExitCode {
    match std::env::var_os(rig::SOCKET) {
        Some(socket) => agent::run(&socket),
        None => harness::main(TESTS),
    }
}
