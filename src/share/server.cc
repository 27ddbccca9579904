#include "share/server.h"

#include <algorithm>

#include "share/handlers.h"

namespace ringside::share {
namespace {

using Handler = Outcome<>(Session& session, Reader& in, Writer& out);
// What may be an entry's end, before which a read-only share refuses it: whether the message is to
// change something. The others look themselves, where it depends on what is asked for.
enum class Effect : std::uint8_t { Looks, Changes };

struct Message {
  MessageType type;
  Handler* handler;
  Effect effect;
};

// What is not here is not supported: extended attributes among it, and the messages of 9P2000 that
// have another one in 9P2000.L.
constexpr Message kMessages[] = {
    {MessageType::StatFs, handlers::stat_file_system, Effect::Looks},
    {MessageType::Open, handlers::open, Effect::Looks},
    {MessageType::Create, handlers::create, Effect::Changes},
    {MessageType::SymbolicLink, handlers::make_symbolic_link, Effect::Changes},
    {MessageType::MakeNode, handlers::make_node, Effect::Changes},
    {MessageType::Rename, handlers::rename, Effect::Changes},
    {MessageType::ReadLink, handlers::read_symbolic_link, Effect::Looks},
    {MessageType::GetAttributes, handlers::get_attributes, Effect::Looks},
    {MessageType::SetAttributes, handlers::set_attributes, Effect::Changes},
    {MessageType::ReadDirectory, handlers::read_directory, Effect::Looks},
    {MessageType::Sync, handlers::sync, Effect::Looks},
    {MessageType::Lock, handlers::lock, Effect::Looks},
    {MessageType::GetLock, handlers::get_lock, Effect::Looks},
    {MessageType::Link, handlers::link, Effect::Changes},
    {MessageType::MakeDirectory, handlers::make_directory, Effect::Changes},
    {MessageType::RenameAt, handlers::rename_at, Effect::Changes},
    {MessageType::UnlinkAt, handlers::unlink_at, Effect::Changes},
    {MessageType::Version, handlers::version, Effect::Looks},
    {MessageType::Attach, handlers::attach, Effect::Looks},
    {MessageType::Flush, handlers::flush, Effect::Looks},
    {MessageType::Walk, handlers::walk, Effect::Looks},
    {MessageType::Read, handlers::read, Effect::Looks},
    {MessageType::Write, handlers::write, Effect::Changes},
    {MessageType::Clunk, handlers::clunk, Effect::Looks},
    {MessageType::Remove, handlers::remove, Effect::Looks},
};

const Message* find(std::uint8_t type) {
  for (const Message& message : kMessages)
    if (static_cast<std::uint8_t>(message.type) == type) return &message;
  return nullptr;
}

Outcome<> serve(Session& session, std::uint8_t type, Reader& in, Writer& out) {
  const Message* const message = find(type);
  if (message == nullptr) return refuse(EOPNOTSUPP);
  if (session.message_size == 0 && message->type != MessageType::Version) return refuse(EPROTO);
  if (message->effect == Effect::Changes && session.access == Access::ReadOnly)
    return refuse(EROFS);
  ATTEMPT(message->handler(session, in, out));
  // A link may lead to more bytes than the smallest message has.
  if (session.message_size != 0 && out.size() > session.message_size) return refuse(ENAMETOOLONG);
  return {};
}

constexpr std::uint8_t answer_to(std::uint8_t type) { return static_cast<std::uint8_t>(type + 1); }

}  // namespace

Server::Server(Fd directory, Access access)
    : session_(std::make_unique<Session>(std::move(directory), access)),
      answer_(std::make_unique<Writer>()) {}
Server::~Server() = default;

std::span<const std::byte> Server::answer(std::span<const std::byte> request) {
  Reader in(request);
  const std::uint32_t size = in.u32();
  const std::uint8_t type = in.u8();
  const std::uint16_t tag = request.size() < kHeader ? kNoTag : in.u16();
  const std::uint32_t most = std::max(session_->message_size, kSmallestMessage);
  Writer& out = *answer_;
  out.begin(answer_to(type), tag);
  const bool is_message = size == request.size() && size >= kHeader;
  const Outcome<> served = !is_message   ? refuse(EPROTO)
                           : size > most ? refuse(EMSGSIZE)
                                         : serve(*session_, type, in, out);
  if (served) return out.finish();
  has_lost_directory_ = has_lost_directory_ || !session_->tree.is_there();
  out.begin(answer_to(static_cast<std::uint8_t>(MessageType::Error)), tag);
  out.u32(static_cast<std::uint32_t>(served.error()));
  return out.finish();
}

}  // namespace ringside::share
