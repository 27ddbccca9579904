// Locks of parts of files (fcntl(2)). The guest's kernel has settled a lock among its own processes
// before it asks here, and no lock of a guest holds on the host: a POSIX lock would be this
// process's, whoever has asked for it, and a lock of an open file would stand in the way of another
// open file of the same guest's process. So every lock is granted.
#include "share/handlers.h"

namespace ringside::share::handlers {
namespace {

enum class LockType : std::uint8_t { Read, Write, Unlock };
constexpr std::uint8_t kGranted = 0;

Outcome<> check(Session& session, std::uint32_t number, std::uint8_t type) {
  ATTEMPT(session.fids.find_open(number));
  if (type > static_cast<std::uint8_t>(LockType::Unlock)) return refuse(EINVAL);
  return {};
}

}  // namespace

Outcome<> lock(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::uint8_t type = in.u8();
  in.u32();     // whether to wait
  in.u64();     // start
  in.u64();     // length
  in.u32();     // the process
  in.string();  // the client
  ATTEMPT(in.end());
  ATTEMPT(check(session, number, type));
  out.u8(kGranted);
  return {};
}

Outcome<> get_lock(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::uint8_t type = in.u8();
  const std::uint64_t start = in.u64();
  const std::uint64_t length = in.u64();
  const std::uint32_t process = in.u32();
  const std::string_view client = in.string();
  ATTEMPT(in.end());
  ATTEMPT(check(session, number, type));
  out.u8(static_cast<std::uint8_t>(LockType::Unlock));
  out.u64(start);
  out.u64(length);
  out.u32(process);
  out.string(client);
  return {};
}

}  // namespace ringside::share::handlers
