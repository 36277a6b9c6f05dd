//! `http::serve` in the open: clients that are slow, silent, greedy or hostile cost it little and others nothing, and it ends in order.

mod support;

#[path = "http_serve/crowd.rs"]
mod crowd;
#[path = "http_serve/dice.rs"]
mod dice;
#[path = "http_serve/ends.rs"]
mod ends;
#[path = "http_serve/hostile.rs"]
mod hostile;
#[path = "http_serve/limits.rs"]
mod limits;
#[path = "http_serve/second.rs"]
mod second;
#[path = "http_serve/served.rs"]
mod served;

use crowd::*;
use dice::*;
use ends::*;
use hostile::*;
use limits::*;
use second::*;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_head_that_drips_is_told_408_and_cut_off_while_others_are_served,
    who_never_says_anything_is_let_go,
    an_idle_connection_dozes_and_is_closed_at_its_time,
    a_request_after_dozing_is_answered_and_its_time_begins_anew,
    pipelined_requests_survive_dozing_byte_for_byte,
    half_a_head_behind_a_whole_one_has_its_time_too,
    a_service_that_hangs_is_answered_for_by_503_and_dropped,
    an_upload_that_goes_on_slowly_is_not_cut,
    a_client_that_does_not_read_is_cut_and_little_is_made_for_it,
    a_client_that_reads_slowly_is_not_cut,
    no_more_than_connections_max_are_served_and_the_others_later,
    limits_without_an_end_are_limits_too,
    who_is_busy_at_a_stop_is_answered_and_told_that_it_is_the_last,
    who_has_idled_for_long_may_ask_once_more_right_after_a_stop,
    who_had_connected_before_a_stop_is_answered,
    an_upgrade_after_a_stop_is_one,
    http_2_is_told_goaway_and_its_streams_end,
    http_2_that_begins_after_a_stop_is_told_goaway_too,
    what_outlasts_the_drain_limit_is_cut_off_and_said,
    a_server_that_is_dropped_ends_its_connections,
    a_panic_in_a_handler_ends_its_connection_alone,
    an_upgraded_connection_is_the_services_and_outlives_what_ends_others,
    an_answer_that_comes_before_the_end_of_an_upload_can_be_read,
    who_ends_what_it_sends_while_it_is_answered_has_gone_unless_that_is_permitted,
    a_unix_socket_is_served_as_well,
    heads_that_are_too_large_or_none_are_refused_and_no_service_is_asked,
    a_head_without_an_end_is_bounded_however_fast_it_comes,
    chunks_that_are_none_end_their_connection_alone,
    a_request_of_two_lengths_is_read_in_one_way_alone,
    clients_that_vanish_at_any_moment_leave_nothing,
    a_rapid_reset_ends_its_connection_and_others_are_served,
    a_flood_of_pings_is_bounded_and_let_go,
    a_flood_of_settings_is_bounded_and_let_go,
    a_client_that_pings_for_ever_and_asks_nothing_is_idle,
    a_bomb_of_headers_is_refused_and_no_service_is_asked,
    a_flood_of_continuations_ends_its_connection,
    a_client_whose_window_stays_shut_is_cut_however_much_it_pings,
    events_that_are_rare_are_no_stall_of_http_2,
    a_stream_that_hangs_is_answered_503_whatever_those_beside_it_do,
    http_1_compares_equal_whatever_the_dice_say,
    http_2_compares_equal_whatever_the_dice_say,
}

on_real_drivers! {
    because "memory and descriptors are the machine's":
        a_crowd_of_5000_slow_heads_is_cheap_and_others_are_served,
        a_crowd_of_5000_who_were_served_and_idle_is_cheap,
        descriptors_that_are_used_up_cost_no_turns_and_who_waits_is_served_later;
    because "the shards of a launch are in no world together": the_connections_of_shards_are_served_and_end_in_order;
    because "a loop of a world cannot stand still": a_loop_that_stood_still_is_not_the_clients_fault;
}
