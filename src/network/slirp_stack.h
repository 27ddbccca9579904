// The TCP/IP of the guest's network, by libslirp: frames of the guest become connections of this
// process, and what comes over those becomes frames. One thread.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "network/options.h"
#include "network/reassembly.h"
#include "network/slirp_library.h"

namespace ringside::network {

enum class Reading : std::uint8_t { Now, Later };

class SlirpStack {
 public:
  // `send` is given each frame for the guest.
  using Send = std::function<void(std::span<const std::byte> frame)>;
  static Result<std::unique_ptr<SlirpStack>> create(const SlirpLibrary& library, Send send);
  ~SlirpStack();
  SlirpStack(const SlirpStack&) = delete;
  SlirpStack& operator=(const SlirpStack&) = delete;

  // Listens there. An error is one sentence.
  Result<void> add(const Forward& forward);

  // A frame of the guest, whatever is in it.
  void take(std::span<const std::byte> frame);

  // Before poll(2): adds what is waited for, and says for how many milliseconds at most (poll's -1:
  // without end). With Reading::Later nothing is taken from connections. A new one waits as long as
  // this process can have no further socket.
  int prepare(std::vector<pollfd>& polled, Reading reading);
  // After it, with the same.
  void proceed(std::span<const pollfd> polled);

 private:
  struct Timer {
    SlirpTimerId id;
    void* argument;
    std::optional<std::int64_t> due;  // in milliseconds of the clock
  };

  SlirpStack(const SlirpLibrary& library, Send send);
  static const SlirpCb& callbacks();
  void let_more_wait();
  void run_timers();
  std::size_t memory();
  bool is_to_accept();

  const SlirpLibrary library_;
  Send send_;
  std::vector<std::unique_ptr<Timer>> timers_;
  Slirp* slirp_ = nullptr;
  Reassembly reassembly_;
  unsigned frames_until_memory_is_looked_at_ = 0;
  std::size_t memory_ = 0;
  std::vector<int> listening_;  // the sockets of forwards, which stay
  bool somebody_came_ = false;  // to one of those, and may wait there still
};

}  // namespace ringside::network
