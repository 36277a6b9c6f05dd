//! The inspector: what is seen of a running program, who may see it, and that the program does not suffer from being looked at.

mod support;

#[path = "inspect/bounds.rs"]
mod bounds;
#[path = "inspect/client.rs"]
mod client;
#[path = "inspect/doors.rs"]
mod doors;
#[path = "inspect/lives.rs"]
mod lives;
#[path = "inspect/refused.rs"]
mod refused;
#[path = "inspect/shown.rs"]
mod shown;
#[path = "inspect/stalls.rs"]
mod stalls;

use bounds::*;
use lives::*;
use shown::*;
use stalls::*;
use support::on_real_drivers;

on_real_drivers! {
    because "a loop of a simulated world is not looked at: no time passes in it":
        a_snapshot_tells_each_task_and_what_it_waits_for,
        a_snapshot_has_the_loops_numbers_and_histograms,
        operations_in_flight_are_listed_with_the_oldest_first,
        tasks_are_sorted_by_what_is_asked_for,
        a_filter_finds_names_places_numbers_and_operations,
        pages_of_a_table_fit_together,
        an_abort_stops_that_task_and_no_other,
        a_stalled_loop_is_told_with_its_lines_and_the_others_are_fresh,
        a_stalled_loop_is_shown_as_it_was_before,
        a_stall_that_is_over_is_no_stall,
        an_abort_on_a_stalled_loop_says_that_it_was_not_done,
        a_loop_between_two_runs_rests_and_costs_viewers_little,
        of_ten_thousand_tasks_two_hundred_are_shown_and_all_are_counted,
        a_viewer_that_does_not_read_is_cut_off_and_others_are_answered,
        a_flood_of_requests_asks_the_loops_five_times_a_second_at_most,
        nobody_is_asked_while_nobody_looks,
        a_snapshot_while_a_loop_ends_has_what_there_is,
        an_inspector_outlives_loops_and_loops_outlive_it,
        two_inspectors_show_the_same_program;
}
