// Whose one vCPU is at the moment, and what is asked of its thread.
//
// While the vCPU is in the guest, its registers belong to its thread; while it is out, to whoever
// holds the lock here. Owned by the vCPU; any thread. Functions for what the lock protects take the
// lock as an argument, as a proof that it is held.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "ringside/x86/cpu_state.h"

namespace ringside::kvm {

class Handover {
 public:
  using Lock = std::unique_lock<std::mutex>;

  // Set by other threads, taken by the vCPU's thread.
  struct Requests {
    bool quit = false;                       // the thread is to end
    bool suspend = false;                    // the vCPU is to leave the guest
    bool init = false;                       // the INIT signal has come
    std::optional<std::uint8_t> start_up{};  // a start-up IPI has come, with this vector
    // The machine sleeps: the boot processor stands still, the others lose their power at once; and
    // it wakes, the boot processor in this state.
    bool sleep = false, lose_power = false;
    std::optional<x86::CpuState> wake{};

    bool starts() const { return init || start_up || sleep || lose_power || wake; }
    bool any() const { return quit || suspend || starts(); }
  };

  Lock lock() const { return Lock(mutex_); }
  Requests& requests(const Lock&) { return requests_; }
  const Requests& requests(const Lock&) const { return requests_; }
  bool is_in_guest(const Lock&) const { return place_ == Place::InGuest; }
  // A processor that has got its start-up IPI, or needs none.
  bool alive(const Lock&) const { return alive_; }
  void set_alive(const Lock&, bool alive) { alive_ = alive; }
  bool active() const { return alive(lock()); }

  // ---- The main thread
  // The vCPU becomes its thread's, which is not woken yet. False if it cannot, or is so already.
  bool give();
  // Asks for it back. False if its event is on the way already.
  bool ask_back();
  // Between give() and event_taken(): only then is the vCPU out, as the main thread sees it.
  bool given() const { return given_; }
  // The machine has ended, and the thread is on its way out of the guest: until it is, or for a
  // second, because nothing that a thread does may hold up the end.
  void await_out();
  void event_taken() { given_ = false; }

  // ---- The vCPU's thread
  // The vCPU is out of the guest. Its event must follow under the same lock.
  void give_back(const Lock&);

  // ---- Any thread: changes that the vCPU's thread may be waiting for
  void notify() { wake_.notify_all(); }
  template <typename Predicate>
  void wait(Lock& lock, Predicate predicate) {
    wake_.wait(lock, predicate);
  }
  template <typename Duration, typename Predicate>
  void wait_for(Lock& lock, Duration duration, Predicate predicate) {
    wake_.wait_for(lock, duration, predicate);
  }

 private:
  enum class Place : std::uint8_t { Out, InGuest };

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Place place_ = Place::Out;  // mutex_
  bool alive_ = false;        // mutex_
  Requests requests_;         // mutex_
  bool given_ = false;        // the main thread's
};

}  // namespace ringside::kvm
