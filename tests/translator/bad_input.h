// Guests that no translator likes. Each runs for ever.
#pragma once

#include <vector>

#include "translator/scene.h"

namespace ringside::testing {

// Every other instruction changes the next one.
Scene rewrites_the_next_instruction();
// The same by another linear address.
Scene rewrites_by_another_address();
// Each instruction changes itself: a part of it that is read again when it comes round.
Scene rewrites_itself();
// A string instruction that fills the code that it lies in, which is then copied there again.
Scene fills_its_own_code();
// Two halves of a page that change each other and run in turn.
Scene halves_rewrite_each_other();
// Jumps to every instruction of what is one block, and between the bytes of one.
Scene jumps_into_the_middle();
// 4,096 pages with a little code each, in no order.
Scene thousands_of_pages();
// A thousand little blocks, of which each goes on at one of two others of its page.
Scene walks_through_blocks();
// TF set for ever, at privilege 3.
Scene traps_for_ever();
// An interrupt every few instructions.
Scene interrupts_for_ever();
// Page tables that give one linear page of code another place each time.
Scene moves_its_code();
// The same, where that page's code has a return to itself.
Scene moves_code_that_returns_within();
// Floating-point arithmetic that rounds up, with an access to a device in its midst.
Scene rounds_round_slow_accesses();
// A fault at every other instruction.
Scene faults_for_ever();

struct BadInput {
  const char* name;
  Scene (*make)();
  std::uint64_t instructions;  // enough to see what becomes of it
};
const std::vector<BadInput>& all_bad_inputs();

}  // namespace ringside::testing
