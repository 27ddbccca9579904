// What tests of the library have in common: a machine whose guest the test plays, sockets, and a
// thread that gives endpoints their turns while the test is the debugger.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "hypervisor/testing/fake_vm.h"
#include "ringside/debug_endpoint.h"
#include "support/debug_client.h"

namespace ringside::testing {

inline constexpr std::uint64_t kCode = 0x1000;

// In flat protected mode, at kCode in 64 KiB of RAM that begin with `mark`.
class PlayedVm : public hypervisor::testing::FakeVm {
 public:
  explicit PlayedVm(unsigned vcpus = 1, std::uint8_t mark = 0) : FakeVm(vcpus) {
    memory().add_ram(Gpa{0}, 64u << 10);
    memory().poke(Gpa{0}, mark);
    for (std::uint32_t i = 0; i < vcpus; ++i) {
      make_active({i});
      power_on(vcpu({i}).cpu);
    }
  }
  static void power_on(x86::CpuState& cpu) {
    cpu = {};
    cpu.cr0 |= x86::cr0::PE;
    cpu.seg(x86::SegmentName::Cs) = {8, x86::kAttributesCode32, 0xffffffff, 0};
    cpu.rip = kCode;
  }
  // The vCPU meets the debugger's int3 there.
  void hit(VcpuId id, std::uint64_t address) {
    vcpu(id).cpu.rip = address;
    happen(id, hypervisor::exit::Breakpoint{1});
  }
};

// Both ends of a connection: the server's, and the debugger's.
inline std::pair<Fd, Fd> connected_sockets() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::runtime_error("no socketpair");
  return {Fd(ends[0]), Fd(ends[1])};
}

// As GDB begins, with acknowledgements: one says that the server has dealt with a packet.
inline void greet(DebugClient& client) {
  client.request("qSupported:swbreak+");
  client.request("vCont?");
  parse_stop(client.request("?"));
}
// The server closes behind its answer, which therefore nobody acknowledges.
inline void detach(DebugClient& client) {
  client.set_acks(Acks::Manual);
  client.send_bytes(RawClient::frame("D"));
  client.await_close();
}

// The thread of an endpoint and its Vm, until the end of the test.
class Serving {
 public:
  explicit Serving(DebugEndpoint& endpoint) : endpoint_(endpoint), thread_([this] { run(); }) {}
  ~Serving() {
    over_ = true;
    endpoint_.wake();
    thread_.join();
  }
  // Has it done there, between two turns, and waits for it.
  void call(std::function<void()> what) {
    std::packaged_task<void()> task(std::move(what));
    std::future<void> done = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    endpoint_.wake();
    done.get();
  }

 private:
  void run() {
    while (!over_) {
      if (!endpoint_.serve(std::nullopt)) return;
      for (;;) {
        std::unique_lock lock(mutex_);
        if (tasks_.empty()) break;
        std::packaged_task<void()> task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
      }
    }
  }

  DebugEndpoint& endpoint_;
  std::atomic<bool> over_{false};
  std::mutex mutex_;
  std::deque<std::packaged_task<void()>> tasks_;
  std::thread thread_;
};

}  // namespace ringside::testing
