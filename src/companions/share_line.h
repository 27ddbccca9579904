// What goes back and forth between a shared folder's device and the process that serves the folder.
// Each request has one answer. When that process is gone, the answers are that the host cannot
// (EIO).
//
// The sink may be called on the thread that runs a vCPU; everything else is the main thread's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "transport/message_channel.h"

namespace ringside::companions {

class ShareLine {
 public:
  using Answer = std::function<void(std::vector<std::byte> answer)>;

  // `name`: of the folder, for who reads what is said on stderr.
  ShareLine(transport::Poller& poller, Fd socket, std::string name, Answer answer);
  ShareLine(const ShareLine&) = delete;
  ShareLine& operator=(const ShareLine&) = delete;

  void request(std::span<const std::byte> bytes);
  // Between slices of the guest.
  void update();
  // A request has no answer yet.
  bool awaits_answer();

 private:
  void take(std::vector<std::byte> answer);
  void tell_that_directory_is_lost();
  void gone();

  std::string name_;
  Answer answer_;
  bool is_directory_lost_ = false;
  std::mutex lock_;                 // of what follows
  std::deque<std::uint16_t> tags_;  // of requests without an answer yet, in their order
  bool is_gone_ = false;
  transport::MessageChannel channel_;
};

}  // namespace ringside::companions
