// What is done for each message: it is read up to its end before anything is done, and what follows
// the answer's header is written. An error is answered in place of what was written till then.
#pragma once

#include "share/outcome.h"
#include "share/session.h"
#include "share/wire.h"

namespace ringside::share::handlers {

// conversation.cc
Outcome<> version(Session& session, Reader& in, Writer& out);
Outcome<> attach(Session& session, Reader& in, Writer& out);
Outcome<> flush(Session& session, Reader& in, Writer& out);
Outcome<> walk(Session& session, Reader& in, Writer& out);
Outcome<> clunk(Session& session, Reader& in, Writer& out);
// content.cc
Outcome<> open(Session& session, Reader& in, Writer& out);
Outcome<> create(Session& session, Reader& in, Writer& out);
Outcome<> read(Session& session, Reader& in, Writer& out);
Outcome<> write(Session& session, Reader& in, Writer& out);
Outcome<> sync(Session& session, Reader& in, Writer& out);
// locks.cc
Outcome<> lock(Session& session, Reader& in, Writer& out);
Outcome<> get_lock(Session& session, Reader& in, Writer& out);
// directories.cc
Outcome<> read_directory(Session& session, Reader& in, Writer& out);
// entries.cc
Outcome<> make_directory(Session& session, Reader& in, Writer& out);
Outcome<> make_node(Session& session, Reader& in, Writer& out);
Outcome<> make_symbolic_link(Session& session, Reader& in, Writer& out);
Outcome<> read_symbolic_link(Session& session, Reader& in, Writer& out);
Outcome<> link(Session& session, Reader& in, Writer& out);
// removals.cc
Outcome<> rename(Session& session, Reader& in, Writer& out);
Outcome<> rename_at(Session& session, Reader& in, Writer& out);
Outcome<> unlink_at(Session& session, Reader& in, Writer& out);
Outcome<> remove(Session& session, Reader& in, Writer& out);
// attributes.cc
Outcome<> get_attributes(Session& session, Reader& in, Writer& out);
Outcome<> set_attributes(Session& session, Reader& in, Writer& out);
Outcome<> stat_file_system(Session& session, Reader& in, Writer& out);

}  // namespace ringside::share::handlers
