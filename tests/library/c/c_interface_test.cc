// ringside/ringside.h over a machine of the test's own, whose one vCPU leaves the guest when it is
// told to. What goes wrong is a status and a text, and what compiled programs rely on stays so.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ringside/ringside.h"
#include "support/debug_client.h"

namespace ringside::testing {
namespace {

struct Machine {
  bool in_guest = false;
  bool throws = false;
  bool has_no_memory = false;
  std::uint64_t rip = 0x1000;
  std::string ram = std::string(0x3000, '\x90');
  std::deque<int> events;
  std::vector<std::string> calls;  // optional callbacks, and hooks
  std::uint64_t watched = 0;
  bool steps = false;
};
Machine& of(void* user) { return *static_cast<Machine*>(user); }

ringside_status get_state(void* user, std::uint32_t, ringside_cpu_state* state) {
  if (of(user).throws) throw std::runtime_error("thrown by a callback");
  if (of(user).has_no_memory) throw std::bad_alloc();
  state->rip = of(user).rip;
  state->gpr[RINGSIDE_RAX] = 0xaaaa;
  state->gpr[RINGSIDE_RDX] = 0xdddd;
  state->gpr[15] = 0xffff;
  state->segment[RINGSIDE_CS].selector = 0x10;
  state->segment[RINGSIDE_CS].base = 0;
  state->cr3 = 0x3333;
  state->fpu.vector[2][0] = 0x22;
  state->pkru = 0x55555554;
  return RINGSIDE_OK;
}
ringside_status set_state(void* user, std::uint32_t, const ringside_cpu_state* state) {
  of(user).rip = state->rip;
  return state->gpr[RINGSIDE_RDX] == 0xdddd ? RINGSIDE_OK : RINGSIDE_BAD_REQUEST;
}
ringside_status read_memory(void* user, std::uint64_t address, void* to, std::size_t size) {
  if (address + size > of(user).ram.size()) return RINGSIDE_BAD_ADDRESS;
  std::memcpy(to, of(user).ram.data() + address, size);
  return RINGSIDE_OK;
}
ringside_status write_memory(void* user, std::uint64_t address, const void* from,
                             std::size_t size) {
  if (address + size > of(user).ram.size()) return RINGSIDE_BAD_ADDRESS;
  std::memcpy(of(user).ram.data() + address, from, size);
  return RINGSIDE_OK;
}
void leave(Machine& machine, int event) {
  machine.in_guest = false;
  machine.events.push_back(event);
}

ringside_vm_callbacks callbacks() {
  ringside_vm_callbacks calls{};
  calls.size = sizeof calls;
  calls.vcpu_count = [](void*) { return std::uint32_t{1}; };
  calls.in_guest = [](void* user, std::uint32_t) { return of(user).in_guest; };
  calls.get_state = get_state;
  calls.set_state = set_state;
  calls.read_memory = read_memory;
  calls.write_memory = write_memory;
  calls.suspend = [](void* user, std::uint32_t) {
    if (of(user).in_guest) leave(of(user), RINGSIDE_EVENT_PARKED);
  };
  calls.resume = [](void* user, std::uint32_t) { of(user).in_guest = true; };
  calls.take_event = [](void* user, ringside_event* event) {
    if (of(user).events.empty()) return false;
    event->kind = of(user).events.front();
    event->address = event->kind == RINGSIDE_EVENT_WATCHPOINT ? of(user).watched : of(user).rip;
    of(user).events.pop_front();
    return true;
  };
  return calls;
}

class CInterface : public ::testing::Test {
 public:
  ~CInterface() override { ringside_close(endpoint_); }
  ringside_status open(const ringside_vm_callbacks& calls,
                       const ringside_options* options = nullptr) {
    const std::string where = "unix:" + path_;
    return ringside_open(&calls, &machine_, where.c_str(), options, &endpoint_);
  }
  void start(const ringside_vm_callbacks& calls, const ringside_options* options = nullptr) {
    ASSERT_EQ(open(calls, options), RINGSIDE_OK) << ringside_last_error(nullptr);
    ASSERT_EQ(ringside_start(endpoint_), RINGSIDE_OK);
  }
  // A client on a thread of its own, while the machine is served here. `run` is given time when the
  // vCPU is in the guest.
  void debug(
      const std::function<void(DebugClient&)>& client_does,
      const std::function<void(Machine&)>& run = [](Machine&) {}) {
    std::atomic<bool> done{false};
    std::thread client_thread([&] {
      try {
        DebugClient client(path_);
        client.request("?");
        client_does(client);
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
      done = true;
      ringside_wake(endpoint_);
    });
    while (!done) {
      EXPECT_EQ(ringside_serve(endpoint_, -1), RINGSIDE_OK) << ringside_last_error(endpoint_);
      if (machine_.in_guest) run(machine_);
    }
    client_thread.join();
  }

  Machine machine_;
  std::string path_ = ::testing::TempDir() + "ringside-c-" + std::to_string(::getpid());
  ringside_endpoint* endpoint_ = nullptr;
};

TEST_F(CInterface, TheVersionIsThatOfTheHeader) {
  EXPECT_EQ(ringside_version(), std::uint32_t{RINGSIDE_VERSION_NUMBER});
}

TEST_F(CInterface, WhatIsMissingIsAStatusAndAText) {
  ringside_vm_callbacks calls = callbacks();
  EXPECT_EQ(ringside_open(nullptr, nullptr, "0", nullptr, &endpoint_), RINGSIDE_BAD_REQUEST);
  EXPECT_STREQ(ringside_last_error(nullptr), "no callbacks");
  EXPECT_EQ(ringside_open(&calls, nullptr, "0", nullptr, nullptr), RINGSIDE_BAD_REQUEST);
  calls.resume = nullptr;
  EXPECT_EQ(open(calls), RINGSIDE_BAD_REQUEST);
  EXPECT_STREQ(ringside_last_error(nullptr), "a callback that every VMM has is null");
  calls = callbacks();
  calls.size = 16;
  EXPECT_EQ(open(calls), RINGSIDE_BAD_REQUEST);
  calls = callbacks();
  calls.vcpu_count = [](void*) { return std::uint32_t{65}; };
  EXPECT_EQ(open(calls), RINGSIDE_BAD_REQUEST);
  calls = callbacks();
  calls.insert_breakpoint = [](void*, std::uint64_t) { return ringside_status{RINGSIDE_OK}; };
  EXPECT_EQ(open(calls), RINGSIDE_BAD_REQUEST);
  calls = callbacks();
  calls.offers = [](void*, std::uint32_t, std::int32_t) { return true; };
  calls.set_capability = [](void*, std::uint32_t, std::int32_t, bool) {
    return ringside_status{RINGSIDE_OK};
  };
  EXPECT_EQ(open(calls), RINGSIDE_BAD_REQUEST);
  EXPECT_STREQ(ringside_last_error(nullptr),
               "RINGSIDE_BREAKPOINT_EXIT is offered, and inject_exception is null");
  path_ = "/nowhere/at/all";
  EXPECT_EQ(open(callbacks()), RINGSIDE_SYSTEM);
  EXPECT_NE(std::string(ringside_last_error(nullptr)).find("/nowhere/at/all"), std::string::npos);
  EXPECT_EQ(endpoint_, nullptr);
  ringside_close(nullptr);
}

// A table of an older version ends before what came later, and behind it is something else.
TEST_F(CInterface, FieldsBehindTheSizeAreNotThere) {
  ringside_vm_callbacks calls = callbacks();
  calls.name = [](void*, std::uint32_t) -> const char* { throw std::logic_error("not there"); };
  calls.ended = [](void*, ringside_end*) -> bool { throw std::logic_error("not there"); };
  calls.size = offsetof(ringside_vm_callbacks, event_fd);
  ringside_options options{};
  options.size = offsetof(ringside_options, guest_stopped);
  options.client_came = [](void*) { throw std::logic_error("not there"); };
  start(calls, &options);
  debug([](DebugClient& client) {
    EXPECT_EQ(client.threads().size(), 1u);
    EXPECT_EQ(client.rip(), 0x1000u);
  });
}

TEST_F(CInterface, RegistersAndMemoryAreTheMachines) {
  start(callbacks());
  debug([](DebugClient& client) {
    const Registers registers = client.registers();
    EXPECT_EQ(registers[kRax], 0xaaaau);
    EXPECT_EQ(registers[kRdx], 0xddddu);
    EXPECT_EQ(registers[15], 0xffffu);
    EXPECT_EQ(registers[kCs], 0x10u);
    EXPECT_EQ(client.request("p2a").substr(0, 2), "22");  // XMM2
    EXPECT_EQ(client.request("p6f"), "54555555");         // PKRU
    // What the machine does not keep is as after RESET: the control word of the FPU.
    EXPECT_EQ(client.request("p20"), "7f030000");
    EXPECT_EQ(client.request("P10=" + hex(little_endian(0x1234, 8))), "OK");
    EXPECT_EQ(client.rip(), 0x1234u);
    EXPECT_EQ(client.request("P3=" + hex(little_endian(1, 8))).substr(0, 1), "E");
    client.write(0x2000, "abc");
    EXPECT_EQ(client.read(0x2000, 3), "abc");
    EXPECT_EQ(client.request("m3000,1"), "E0e");
    EXPECT_EQ(client.request("Z1,1000,1"), "");  // there are none
  });
}

TEST_F(CInterface, AbilitiesAndHooksAreCalled) {
  ringside_vm_callbacks calls = callbacks();
  calls.offers = [](void*, std::uint32_t, std::int32_t capability) {
    return capability == RINGSIDE_MONITOR_TRAP;
  };
  calls.set_capability = [](void* user, std::uint32_t, std::int32_t capability, bool on) {
    EXPECT_EQ(capability, RINGSIDE_MONITOR_TRAP);
    of(user).steps = on;
    return ringside_status{RINGSIDE_OK};
  };
  calls.insert_breakpoint = [](void* user, std::uint64_t address) {
    of(user).calls.push_back("break " + hex_number(address));
    return ringside_status{address == 0x1000 ? RINGSIDE_OK : RINGSIDE_BUSY};
  };
  calls.remove_breakpoint = [](void* user, std::uint64_t address) {
    of(user).calls.push_back("no break " + hex_number(address));
    return ringside_status{RINGSIDE_OK};
  };
  calls.insert_watchpoint = [](void* user, std::uint64_t address, std::uint64_t size,
                               std::int32_t kind) {
    of(user).watched = address;
    of(user).calls.push_back("watch " + hex_number(address) + " " + hex_number(size));
    return ringside_status{kind == RINGSIDE_WATCH_WRITE ? RINGSIDE_OK : RINGSIDE_NOT_SUPPORTED};
  };
  calls.remove_watchpoint = [](void* user, std::uint64_t, std::uint64_t, std::int32_t) {
    of(user).calls.push_back("no watch");
    return ringside_status{RINGSIDE_OK};
  };
  ringside_options options{};
  options.size = sizeof options;
  options.client_came = [](void* user) { of(user).calls.push_back("came"); };
  options.client_went = [](void* user) { of(user).calls.push_back("went"); };
  start(calls, &options);
  debug(
      [](DebugClient& client) {
        EXPECT_EQ(client.request("Z1,1000,1"), "OK");
        EXPECT_EQ(client.request("Z1,1001,1").substr(0, 1), "E");
        EXPECT_EQ(client.request("z1,1000,1"), "OK");
        EXPECT_EQ(client.request("Z2,2000,4"), "OK");
        EXPECT_EQ(client.request("Z3,2000,4"), "");
        client.resume();
        EXPECT_EQ(client.await_stop().field("watch"), "2000");
        EXPECT_EQ(client.request("z2,2000,4"), "OK");
        client.step();
        EXPECT_EQ(client.rip(), 0x1001u);
      },
      [](Machine& machine) {
        if (machine.steps) {
          ++machine.rip;
          leave(machine, RINGSIDE_EVENT_MONITOR_TRAP);
        } else if (machine.watched != 0) {
          leave(machine, RINGSIDE_EVENT_WATCHPOINT);
          machine.watched = 0x2000;
        }
      });
  while (ringside_connected(endpoint_))
    EXPECT_EQ(ringside_serve(endpoint_, -1), RINGSIDE_OK);
  const std::vector<std::string> expected = {"came",          "break 1000",   "break 1001",
                                             "no break 1000", "watch 2000 4", "watch 2000 4",
                                             "no watch",      "went"};
  EXPECT_EQ(machine_.calls, expected);
}

// They are dropped, and do not spoil the event behind them.
TEST_F(CInterface, EventsOfNoVcpuAreDropped) {
  ringside_vm_callbacks calls = callbacks();
  static int strays;
  strays = 10;
  calls.take_event = [](void* user, ringside_event* event) {
    if (of(user).events.empty()) return false;
    if (strays > 0) {
      --strays;
      event->vcpu = 99;
      return true;
    }
    event->kind = of(user).events.front();
    of(user).events.pop_front();
    return true;
  };
  start(calls);
  debug([](DebugClient& client) { EXPECT_EQ(client.request("?").substr(0, 1), "S"); });
}

TEST_F(CInterface, NoExceptionCrosses) {
  start(callbacks());
  ringside_status thrown = RINGSIDE_OK, exhausted = RINGSIDE_OK;
  std::string text;
  int sockets[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
  ASSERT_EQ(ringside_adopt(endpoint_, sockets[0]), RINGSIDE_OK);
  const std::string ask = "$?#3f+$g#67+";
  machine_.throws = true;
  ASSERT_EQ(::write(sockets[1], ask.data(), ask.size()), static_cast<ssize_t>(ask.size()));
  for (int turn = 0; turn < 10 && thrown == RINGSIDE_OK; ++turn)
    thrown = ringside_serve(endpoint_, 0);
  EXPECT_EQ(thrown, RINGSIDE_INTERNAL);
  EXPECT_STREQ(ringside_last_error(endpoint_), "thrown by a callback");
  machine_.throws = false;
  machine_.has_no_memory = true;
  ASSERT_EQ(::write(sockets[1], ask.data(), ask.size()), static_cast<ssize_t>(ask.size()));
  for (int turn = 0; turn < 10 && exhausted == RINGSIDE_OK; ++turn)
    exhausted = ringside_serve(endpoint_, 0);
  EXPECT_EQ(exhausted, RINGSIDE_NO_MEMORY);
  ::close(sockets[1]);
}

TEST_F(CInterface, AnotherLoopWaitsForItsDescriptors) {
  ringside_vm_callbacks calls = callbacks();
  calls.halted = [](void*, std::uint32_t) { return true; };
  start(calls);
  EXPECT_EQ(std::string(ringside_where(endpoint_)), "unix:" + path_);
  EXPECT_FALSE(ringside_connected(endpoint_));
  EXPECT_EQ(ringside_start(endpoint_), RINGSIDE_BAD_REQUEST);
  EXPECT_EQ(ringside_time_to_wait(endpoint_), -1);
  const std::size_t count = ringside_descriptors(endpoint_, nullptr, 0);
  ASSERT_GE(count, 1u);
  std::vector<ringside_descriptor> descriptors(count);
  EXPECT_EQ(ringside_descriptors(endpoint_, descriptors.data(), count), count);
  std::vector<pollfd> waits;
  for (const ringside_descriptor& each : descriptors)
    waits.push_back({each.fd, static_cast<short>(each.interest & RINGSIDE_READ ? POLLIN : 0), 0});
  std::thread client_thread([&] { DebugClient client(path_); });
  EXPECT_GT(::poll(waits.data(), waits.size(), -1), 0);
  EXPECT_EQ(ringside_serve(endpoint_, 0), RINGSIDE_OK);
  client_thread.join();
  EXPECT_EQ(ringside_settle(endpoint_), RINGSIDE_OK);
}

// What a program that was compiled with this header has of it. A field may be added behind the last
// one of a struct that has a size; everything else needs another soname.
static_assert(sizeof(ringside_segment) == 16 && offsetof(ringside_segment, attributes) == 14);
static_assert(sizeof(ringside_table) == 16 && offsetof(ringside_table, limit) == 8);
static_assert(sizeof(ringside_fpu_state) == 672 && offsetof(ringside_fpu_state, vector) == 160);
static_assert(offsetof(ringside_cpu_state, rip) == 136);
static_assert(offsetof(ringside_cpu_state, segment) == 152);
static_assert(offsetof(ringside_cpu_state, cr0) == 312);
static_assert(offsetof(ringside_cpu_state, efer) == 408);
static_assert(offsetof(ringside_cpu_state, fpu) == 504);
static_assert(offsetof(ringside_cpu_state, pkru) == 1176);
static_assert(sizeof(ringside_cpu_state) == 1184);
static_assert(sizeof(ringside_event) == 40 && offsetof(ringside_event, text) == 32);
static_assert(sizeof(ringside_end) == 24 && offsetof(ringside_end, text) == 16);
static_assert(sizeof(ringside_exception) == 24);
static_assert(sizeof(ringside_descriptor) == 8);
static_assert(offsetof(ringside_vm_callbacks, event_fd) == 80);
static_assert(offsetof(ringside_vm_callbacks, insert_breakpoint) == 152);
static_assert(sizeof(ringside_vm_callbacks) == 200);
static_assert(offsetof(ringside_options, guest_stopped) == 16);
static_assert(offsetof(ringside_options, allow) == 56 && sizeof(ringside_options) == 64);
static_assert(RINGSIDE_INTERNAL == 8 && RINGSIDE_EVENT_DEAD == 7 && RINGSIDE_END_STATUS == 5);

}  // namespace
}  // namespace ringside::testing
