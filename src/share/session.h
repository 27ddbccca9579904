// What a server has of its client.
#pragma once

#include <algorithm>
#include <cstdint>

#include "share/fids.h"
#include "share/messages.h"
#include "share/qid.h"
#include "share/server.h"
#include "share/tree.h"

namespace ringside::share {

struct Session {
  Session(Fd directory, Access rights)
      : tree(std::move(directory)), qids(tree.device()), access(rights) {}

  // How many bytes of data, where so many are wanted, an answer has room for.
  std::uint32_t room(std::uint32_t wanted) const {
    return std::min<std::uint32_t>(wanted, message_size - kReadHeader);
  }
  // How many bytes a read or write of Linux moves at the most.
  std::uint32_t transfer() const { return message_size - kTransferHeader; }

  Outcome<Qid> qid_of(const Object& object) {
    const struct stat status = ATTEMPT(status_of(object));
    return qids.of(status);
  }

  Tree tree;
  QidNumbers qids;
  Fids fids;
  const Access access;
  std::uint32_t message_size = 0;  // 0: no version has been agreed on
};

}  // namespace ringside::share
