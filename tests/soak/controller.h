// The debugger that has the machine during a soak: for one connection it does what a client can do,
// at random, and then ends in a way that is chosen at random, too. Speaks raw packets. What must be
// answered and is not, throws.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/debug_client.h"

namespace ringside::testing {

// How often each thing was done.
using Deeds = std::map<std::string, std::uint64_t>;

// Where there is something to stop for.
struct Places {
  std::vector<std::string> code;  // addresses of kernel functions, in hexadecimal
  std::string data;               // of 8 bytes that the kernel writes often
};

class Controller {
 public:
  // Who speaks first controls, so it does: observers may come from now on.
  Controller(std::uint16_t port, const Places& places, std::minstd_rand& random, Deeds& deeds);
  // The rest of the connection, to its end.
  void live();

 private:
  enum class Ending : unsigned;
  enum class Mode { AllStop, NonStop };

  void greet();
  void act();
  void act_in_non_stop();
  void end();

  // One thing each.
  void run();
  void step();
  void step_range();
  void move_one();
  void stop_at_breakpoint();
  void stop_at_watchpoint();
  void skip_false_conditions();
  void look();
  void write_what_is_there();
  void go_back();
  void walk_back();
  void trace();
  void catch_event();
  void record_profile();
  void ask_about_linux();
  void ask_the_monitor();
  void leave_a_breakpoint();

  std::string ask(const std::string& packet);
  std::string say(const std::string& command);
  // A packet that lets the guest run, up to its stop: interrupted when that takes too long.
  void go(const std::string& packet, std::chrono::milliseconds longest);
  // Acknowledges stops in non-stop mode until there is none.
  void take_stops();
  std::uint64_t some(std::uint64_t below) { return random_() % below; }
  std::chrono::milliseconds moment() { return std::chrono::milliseconds(some(40)); }
  const std::string& code() { return places_.code[some(places_.code.size())]; }
  const std::string& somebody() { return threads_[some(threads_.size())]; }
  void note(const std::string& deed) { ++deeds_[deed]; }

  DebugClient client_;
  const Places& places_;
  std::minstd_rand& random_;
  Deeds& deeds_;
  Mode mode_;
  std::vector<std::string> threads_;
};

}  // namespace ringside::testing
