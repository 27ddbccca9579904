#include "parts.h"

#include <map>
#include <stdexcept>

#include "clock.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using Stream = ChildProcess::Stream;

// By measure and part.
std::map<std::string, std::string>& digests() {
  static std::map<std::string, std::string> result;
  return result;
}

}  // namespace

double await_part(ChildProcess& process, const std::string& measure, const std::string& name) {
  const testing::Deadline deadline(std::chrono::minutes(10));
  process.await(Stream::Output, "BEGIN " + name, deadline);
  const auto from = Clock::now();
  process.await(Stream::Output, "END " + name + " status ", deadline);
  const double seconds = since(from);
  const std::string status = process.await_line(Stream::Output, "END " + name + " ");
  const std::string digest = process.await_line(Stream::Output, "DIGEST " + name + " ");
  if (!status.starts_with("END " + name + " status 0"))
    throw std::runtime_error(status + ":\n" + process.text(Stream::Output));
  const auto known = digests().emplace(measure + " " + name, digest).first;
  if (known->second != digest)
    throw std::runtime_error("not the same work: " + known->second + ", " + digest);
  return seconds;
}

}  // namespace ringside::bench
