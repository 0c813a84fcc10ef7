//! What is brought in order after a start.

use std::sync::Arc;

use crate::session::{ListFilter, Sessions};

/// Sessions from before there were projects that are brought in order at once.
const UNPLACED_AT_ONCE: usize = 100;

impl Sessions {
    /// Finishes what the last server has left: reverts whose files were being moved, and sessions from
    /// before there were projects.
    pub async fn bring_in_order(self: &Arc<Self>) {
        self.finish_restoring().await;
        if let Err(error) = self.place_old_sessions().await {
            tracing::warn!("sessions from before there were projects are in none yet: {error}");
        }
    }

    async fn place_old_sessions(&self) -> Result<(), crate::session::Error> {
        loop {
            let unplaced = self.list(ListFilter {
                project_id: Some(String::new()),
                limit: Some(UNPLACED_AT_ONCE),
                ..ListFilter::default()
            });
            let unplaced = unplaced.await?;
            if unplaced.is_empty() {
                return Ok(());
            }
            for session in unplaced {
                let place = self.projects.locate(&session.directory).await;
                let cell = self.loaded.find_to_change(&session.id).await?;
                cell.change(move |draft| {
                    draft.belongs_to(&place);
                    Ok(())
                })
                .await?;
            }
        }
    }
}
