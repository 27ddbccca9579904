// Versions, who attaches, and fids.
#include <algorithm>
#include <vector>

#include "share/handlers.h"

namespace ringside::share::handlers {
namespace {

Outcome<Found> find(const Tree& tree, const Object& directory, std::string_view text) {
  if (text == "..") return tree.parent(directory);
  const Name name = ATTEMPT(Name::from(text));
  return tree.child(directory, name);
}

}  // namespace

// version(5): whatever was open is not any more. A client that proposes another protocol is told
// that it is unknown, and may propose one more.
Outcome<> version(Session& session, Reader& in, Writer& out) {
  const std::uint32_t wanted = in.u32();
  const std::string_view protocol = in.string();
  ATTEMPT(in.end());
  session.fids.clear();
  session.message_size = 0;
  if (wanted < kSmallestMessage) return refuse(EMSGSIZE);
  const std::uint32_t agreed = std::min(wanted, kLargestMessage);
  const bool is_known = protocol == kVersion;
  if (is_known) session.message_size = agreed;
  out.u32(agreed);
  out.string(is_known ? kVersion : "unknown");
  return {};
}

// There is one tree, which everybody may have who can send messages. Linux attaches once for each
// of its users, with that user's number.
Outcome<> attach(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::uint32_t authenticated = in.u32();
  in.string();  // the user's name
  const std::string_view tree = in.string();
  const std::uint32_t user = in.u32();
  ATTEMPT(in.end());
  if (authenticated != kNoFid) return refuse(EBADF);
  if (!tree.empty() && tree != "/") return refuse(ENOENT);
  ATTEMPT(session.fids.check_free(number));
  const auto& root = session.tree.root();
  out.qid(ATTEMPT(session.qid_of(*root)));
  session.fids.set(number, {root, false, user});
  return {};
}

// What is to be given up has been answered already.
Outcome<> flush(Session&, Reader& in, Writer&) {
  in.u16();  // the other request's tag
  return in.end();
}

// walk(5): where not all names are found, the answer has as many qids as there were, and the new
// fid is none; an error is for the first name alone.
Outcome<> walk(Session& session, Reader& in, Writer& out) {
  const std::uint32_t from = in.u32();
  const std::uint32_t to = in.u32();
  const unsigned count = in.u16();
  if (count > kLongestWalk) return refuse(EINVAL);
  std::vector<std::string_view> names(count);
  for (std::string_view& name : names)
    name = in.string();
  ATTEMPT(in.end());
  const Fid start = *ATTEMPT(session.fids.find(from));
  if (to != from) ATTEMPT(session.fids.check_free(to));
  if (to == from && start.is_open) return refuse(EINVAL);
  std::shared_ptr<const Object> at = start.object;
  const auto step = [&](std::string_view name) -> Outcome<Qid> {
    const Found found = ATTEMPT(find(session.tree, *at, name));
    at = found.object;
    return session.qids.of(found.status);
  };
  std::vector<Qid> qids;
  for (const std::string_view name : names) {
    const Outcome<Qid> qid = step(name);
    if (!qid && qids.empty()) return refuse(qid.error());
    if (!qid) break;
    qids.push_back(*qid);
  }
  out.u16(static_cast<std::uint16_t>(qids.size()));
  for (const Qid& qid : qids)
    out.qid(qid);
  if (qids.size() == names.size()) session.fids.set(to, {std::move(at), false, start.user});
  return {};
}

Outcome<> clunk(Session& session, Reader& in, Writer&) {
  const std::uint32_t number = in.u32();
  ATTEMPT(in.end());
  ATTEMPT(session.fids.remove(number));
  return {};
}

}  // namespace ringside::share::handlers
