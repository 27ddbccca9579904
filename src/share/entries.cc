// What is made in directories, but for regular files: mkdir(2), mknod(2), symlink(2), link(2).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits.h>

#include <array>
#include <string>

#include "share/handlers.h"
#include "share/ownership.h"

namespace ringside::share::handlers {
namespace {

// Who has made it gets it, and the answer is its qid.
Outcome<> say_made(Session& session, const Fid& directory, const Name& name, std::uint32_t group,
                   Writer& out) {
  const Found made = ATTEMPT(session.tree.child(*directory.object, name));
  give(*made.object, directory.user, group);
  out.qid(ATTEMPT(session.qids.of(made.status)));
  return {};
}

}  // namespace

Outcome<> make_directory(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::string_view text = in.string();
  const std::uint32_t mode = in.u32() & ALLPERMS;
  const std::uint32_t group = in.u32();
  ATTEMPT(in.end());
  const Fid* const directory = ATTEMPT(session.fids.find(number));
  const Name name = ATTEMPT(Name::from(text));
  ATTEMPT(outcome_of(::mkdirat(directory->object->fd.get(), name.c_str(), mode)));
  return say_made(session, *directory, name, group, out);
}

// A FIFO or a socket of the guest's is a name where its processes meet. A device would be one of
// the host's, for whoever finds it there.
Outcome<> make_node(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::string_view text = in.string();
  const std::uint32_t mode = in.u32();
  in.u32();  // of a device
  in.u32();
  const std::uint32_t group = in.u32();
  ATTEMPT(in.end());
  const Fid* const directory = ATTEMPT(session.fids.find(number));
  const Name name = ATTEMPT(Name::from(text));
  if (S_ISCHR(mode) || S_ISBLK(mode)) return refuse(EPERM);
  if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode)) return refuse(EINVAL);
  ATTEMPT(outcome_of(
      ::mknodat(directory->object->fd.get(), name.c_str(), mode & (S_IFMT | ALLPERMS), 0)));
  return say_made(session, *directory, name, group, out);
}

// Where it leads is the guest's affair, which alone follows it.
Outcome<> make_symbolic_link(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::string_view text = in.string();
  const std::string target(in.string());
  const std::uint32_t group = in.u32();
  ATTEMPT(in.end());
  const Fid* const directory = ATTEMPT(session.fids.find(number));
  const Name name = ATTEMPT(Name::from(text));
  if (target.find('\0') != std::string::npos) return refuse(EINVAL);
  ATTEMPT(outcome_of(::symlinkat(target.c_str(), directory->object->fd.get(), name.c_str())));
  return say_made(session, *directory, name, group, out);
}

Outcome<> read_symbolic_link(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find(number));
  if (!fid->object->is_symbolic_link()) return refuse(EINVAL);
  std::array<char, PATH_MAX> room;
  const ssize_t size = ::readlinkat(fid->object->fd.get(), "", room.data(), room.size());
  ATTEMPT(outcome_of(size));
  out.string({room.data(), static_cast<std::size_t>(size)});
  return {};
}

Outcome<> link(Session& session, Reader& in, Writer&) {
  const std::uint32_t number = in.u32();
  const std::uint32_t target = in.u32();
  const std::string_view text = in.string();
  ATTEMPT(in.end());
  const Fid* const directory = ATTEMPT(session.fids.find(number));
  const Fid* const file = ATTEMPT(session.fids.find(target));
  const Name name = ATTEMPT(Name::from(text));
  return outcome_of(::linkat(AT_FDCWD, path_by_descriptor(*file->object).c_str(),
                             directory->object->fd.get(), name.c_str(), AT_SYMLINK_FOLLOW));
}

}  // namespace ringside::share::handlers
