// Names that are changed or removed: rename(2), unlink(2), rmdir(2). Requests that say by a fid
// alone what they mean are served by the name that it has now; Linux sends the others.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "share/handlers.h"

namespace ringside::share::handlers {

Outcome<> rename(Session& session, Reader& in, Writer&) {
  const std::uint32_t number = in.u32();
  const std::uint32_t to = in.u32();
  const std::string_view text = in.string();
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find(number));
  const Fid* const directory = ATTEMPT(session.fids.find(to));
  const Name name = ATTEMPT(Name::from(text));
  const Place place = ATTEMPT(session.tree.place_of(*fid->object));
  return outcome_of(::renameat(place.directory.get(), place.name.c_str(),
                               directory->object->fd.get(), name.c_str()));
}

Outcome<> rename_at(Session& session, Reader& in, Writer&) {
  const std::uint32_t from = in.u32();
  const std::string_view old_text = in.string();
  const std::uint32_t to = in.u32();
  const std::string_view new_text = in.string();
  ATTEMPT(in.end());
  const Fid* const old_directory = ATTEMPT(session.fids.find(from));
  const Fid* const new_directory = ATTEMPT(session.fids.find(to));
  const Name old_name = ATTEMPT(Name::from(old_text));
  const Name new_name = ATTEMPT(Name::from(new_text));
  return outcome_of(::renameat(old_directory->object->fd.get(), old_name.c_str(),
                               new_directory->object->fd.get(), new_name.c_str()));
}

Outcome<> unlink_at(Session& session, Reader& in, Writer&) {
  const std::uint32_t number = in.u32();
  const std::string_view text = in.string();
  const std::uint32_t flags = in.u32();
  ATTEMPT(in.end());
  const Fid* const directory = ATTEMPT(session.fids.find(number));
  const Name name = ATTEMPT(Name::from(text));
  if ((flags & ~std::uint32_t{AT_REMOVEDIR}) != 0) return refuse(EINVAL);
  return outcome_of(::unlinkat(directory->object->fd.get(), name.c_str(), static_cast<int>(flags)));
}

// remove(5): the fid is gone, whether the file is or not.
Outcome<> remove(Session& session, Reader& in, Writer&) {
  const std::uint32_t number = in.u32();
  ATTEMPT(in.end());
  const Fid fid = ATTEMPT(session.fids.remove(number));
  if (session.access == Access::ReadOnly) return refuse(EROFS);
  const Place place = ATTEMPT(session.tree.place_of(*fid.object));
  return outcome_of(::unlinkat(place.directory.get(), place.name.c_str(),
                               fid.object->is_directory() ? AT_REMOVEDIR : 0));
}

}  // namespace ringside::share::handlers
