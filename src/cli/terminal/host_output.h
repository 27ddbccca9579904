// Bytes from the guest to a file or to standard output, in order and without loss: when the other
// side does not take them, the guest waits. Nobody else does: no call here blocks.
//
// append() and full() may be called on the thread that runs a vCPU; everything else is the main
// thread's.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "transport/poller.h"

namespace ringside::cli {

class HostOutput {
 public:
  // Standard output is the process's, so it stays open.
  static std::unique_ptr<HostOutput> standard_output(transport::Poller& poller);
  // Creates the file or empties it (base/output_file.h).
  static Result<std::unique_ptr<HostOutput>> file(transport::Poller& poller,
                                                  const std::string& path);
  ~HostOutput();
  HostOutput(const HostOutput&) = delete;
  HostOutput& operator=(const HostOutput&) = delete;

  void append(std::span<const std::byte> bytes);
  // Whoever asks is to append nothing more until has_room_again().
  bool full();
  // Once after full() has been true, when it no longer is.
  bool has_room_again();
  // Writes what can be written without waiting; the poller does the rest.
  void flush();

 private:
  HostOutput(transport::Poller& poller, int fd, Fd owned);
  std::size_t write_some();
  bool has_room() const;

  transport::Poller& poller_;
  int fd_;
  Fd owned_;
  std::mutex lock_;
  std::string buffer_;
  bool failed_ = false;  // nobody is there to read: what comes is dropped
  bool held_ = false;    // full() was true
};

}  // namespace ringside::cli
